"""Owns the view of apps by their workers: one instance for each worker that there is, or is to be, with its number.

Runs in the user's shell. A stopped app has as many instances as it would be started with: each keeps its number.
"""

from collections.abc import Sequence

import msgspec

from ..supervisor.control.protocol import AppEntry, WorkerEntry
from ..supervisor.errors import FastlbError
from ..supervisor.home.known_apps import list_apps
from ..supervisor.home.paths import AppPaths, default_home
from ..supervisor.home.stored_config import load_config
from ..supervisor.home.worker_ids import Presence, WorkerIds, claim_ids
from .apps import read_states
from .targets import Target, resolve_targets


class Instance(msgspec.Struct, frozen=True):
    """A worker, or the place of one.

    Attributes:
        pm_id: its number over all apps of the home.
        number: its number in the app.
        app: the app.
        worker: what is known of it; None: the app does not run, or it is on its way.
    """

    pm_id: int
    number: int
    app: AppEntry
    worker: WorkerEntry | None

    @property
    def status(self) -> str:
        """Its own status, or the app's while it has none."""
        return self.worker.status if self.worker else self.app.status


class WorkerNumber(msgspec.Struct, frozen=True):
    """A worker in `pid --json` and `id --json`.

    Attributes:
        name: of its app.
        worker: its number in the app.
        pm_id: its number over all apps.
        pid: None: it does not run.
    """

    name: str
    worker: int
    pm_id: int
    pid: int | None


def worker_numbers(instances: Sequence[Instance]) -> list[WorkerNumber]:
    """Return what is told of `instances` where only their numbers are asked for."""
    return [
        WorkerNumber(found.app.name, found.number, found.pm_id, (found.worker and found.worker.pid) or None)
        for found in instances
    ]


def claimed_ids() -> WorkerIds:
    """Return the numbers of all workers of all apps, after giving one to each that has none."""
    return number_workers([state.entry for state in read_states(list_apps(default_home()))])


def number_workers(apps: Sequence[AppEntry]) -> WorkerIds:
    """Write their numbers into `apps` and their workers; give one to each that has none. Return all that are given."""
    present = {app.name: _presence(app) for app in apps}
    ids = claim_ids(default_home(), list_apps(default_home()), present)
    for app in apps:
        app.pm_ids = [own for _, own in sorted(ids.apps.get(app.name, {}).items())]
        for worker in app.workers:
            worker.pm_id = ids.id_of(app.name, worker.id)
    return ids


def instances_of(apps: Sequence[AppEntry]) -> list[Instance]:
    """Return the instances of `apps`, by their numbers. Of a worker and its replacement only the newer counts."""
    ids = number_workers(apps)
    found = []
    for app in apps:
        newest = {worker.id: worker for worker in sorted(app.workers, key=lambda worker: worker.generation)}
        for number, pm_id in ids.apps.get(app.name, {}).items():
            found.append(Instance(pm_id, number, app, newest.get(number)))
    return sorted(found, key=lambda instance: instance.pm_id)


def chosen_instances(words: Sequence[str]) -> list[Instance]:
    """Return the instances that `words` mean, as `resolve_targets` understands them; without words all.

    Raises:
        FastlbError: a word means nobody.
    """
    targets = resolve_targets(words) if words else [Target(name) for name in list_apps(default_home())]
    wanted = {target.name: target.workers for target in targets}
    instances = instances_of([state.entry for state in read_states([*wanted])])
    return [found for found in instances if not wanted[found.app.name] or found.number in wanted[found.app.name]]


def _presence(app: AppEntry) -> Presence:
    workers = sorted({worker.id for worker in app.workers})
    if app.target_workers:
        return Presence(workers, is_whole=len(workers) >= app.target_workers)
    wanted = _configured(app.name)
    return Presence(workers or range(wanted or 1), is_whole=app.status == "stopped" and wanted > 0)


def _configured(name: str) -> int:
    """Return how many workers an app would be started with; 0: nobody knows."""
    try:
        return load_config(AppPaths(default_home(), name)).workers
    except FastlbError:
        return 0
