"""Owns Client: every method is what the command of that name does. Runs in the user's program; blocks its thread."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ..cli.apps import read_details, read_states
from ..cli.commands.scale import parse_amount
from ..cli.commands.trigger import ask
from ..cli.instances import number_workers
from ..cli.log_view.records import Record
from ..cli.log_view.records import Stream as OutputStream
from ..cli.log_view.selection import Selection
from ..cli.metrics.reading import read_app
from ..cli.operations import WHEN_STOPPED, Answer, delete, refusal_when_stopped, stop
from ..cli.targets import Target, resolve_names, resolve_target, resolve_targets, resolve_whole_app
from ..supervisor.control.client import NotRunning
from ..supervisor.control.protocol import (
    AppDetails,
    AppEntry,
    AppMetrics,
    ReloadParams,
    RestartParams,
    TriggerParams,
    WorkerAnswer,
)
from ..supervisor.errors import FastlbError
from ..supervisor.home.known_apps import list_apps
from ..supervisor.home.paths import at_home, default_home
from ..supervisor.output.event_record import Event
from .sources import Interrupter, begun, events, home_of, log_lines
from .starting import start_by_command
from .streams import Operation, Stream

DEFAULT_LINES = 15
DEFAULT_EVENTS = 30
# `list` is a method here.
Answers = list[Answer]
WorkerAnswers = list[WorkerAnswer]
Place = str | os.PathLike[str]
STREAMS: tuple[OutputStream, ...] = ("out", "err")


class Client:
    """Speaks for the apps of one home, as the command does. Holds nothing open; may be used by several threads.

    Every method raises FastlbError: `message` is what the command would print, `exit_code` its exit code, `details` a
    worker's traceback, for one. NAME is what it is for the command: also a namespace, `/a pattern/`, a worker's number.

    Args:
        home: directory of the apps; None: $FASTLB_HOME, or ~/.fastlb.
    """

    def __init__(self, home: Place | None = None) -> None:
        self._home = home_of(home)

    def list(self, *names: str) -> list[AppEntry]:
        """Return what `list --json` says, of all apps or of these."""
        with at_home(self._home):
            states = read_states(resolve_names(names) if names else list_apps(default_home()))
            entries = [state.entry for state in states]
            number_workers(entries)
            return entries

    def show(self, name: str) -> AppDetails:
        """Return what `show --json` says of an app."""
        with at_home(self._home):
            details = read_details(resolve_target(name).name)
            number_workers([details])
            return details

    def metrics(self, name: str) -> AppMetrics:
        """Return all that is counted of a running app, with what it counts itself (metrics_app)."""
        with at_home(self._home):
            state = read_app(resolve_target(name).name, own=True)
        if not isinstance(state.entry, AppMetrics):
            raise FastlbError(state.problem or f"{state.entry.name} is {state.entry.status}: nothing is counted")
        return state.entry

    def start(
        self, target: str, *options: str, cwd: Place | None = None, env: Mapping[str, str] | None = None
    ) -> Answers:
        """Start the apps of a configuration file, or a target, and return when they serve: `fastlb start`.

        Args:
            target: `fastlb.toml`, `server:app`, or the name of an app that is stopped.
            options: as on the command line: "--only", "api".
            cwd: directory in which it is meant; None: ours.
            env: variables beside our own, which the apps inherit.
        """
        with at_home(self._home):
            return start_by_command([*options, target], None if cwd is None else Path(cwd), env)

    def stop(self, name: str, *, force: bool = False) -> str:
        """Stop an app, and return when its supervisor is gone. `force`: do not wait for requests."""
        with at_home(self._home):
            return stop(resolve_whole_app(name), force=force)

    def delete(self, name: str) -> str:
        """Stop an app and forget it; its logs stay."""
        with at_home(self._home):
            return delete(resolve_whole_app(name))

    def reload(self, name: str, *, parallel: int | None = None) -> Operation:
        """Begin to replace the workers of an app without losing a request. `parallel`: so many at a time."""
        return self._begin(name, "reload", ReloadParams(parallel=parallel))

    def restart(self, name: str) -> Operation:
        """Begin to stop all workers of a running app and to start new ones."""
        return self._begin(name, "restart", RestartParams())

    def scale(self, name: str, workers: int | str) -> Operation:
        """Begin to change the number of workers: to 8, by "+2" or "-2", to "max", or "auto"."""
        return self._begin(name, "scale", parse_amount(str(workers)))

    def trigger(
        self, name: str, action: str, param: str | None = None, *, worker: int | None = None, timeout: float = 30.0
    ) -> WorkerAnswers:
        """Have the workers of an app do something, and return their answers; `ok` says whether it was done.

        Args:
            action: its name.
            param: for it, if it takes one.
            worker: whose; None: of each worker.
            timeout: seconds that an answer may take.
        """
        params = TriggerParams(action=action, param=param, worker=worker, timeout=timeout)
        with at_home(self._home):
            return sorted(ask(resolve_target(name).name, params), key=lambda answer: answer.worker)

    def logs(
        self,
        name: str,
        *,
        lines: int | None = DEFAULT_LINES,
        follow: bool = False,
        streams: Sequence[OutputStream] = STREAMS,
    ) -> Stream[Record]:
        """Yield the last lines of an app, and with `follow` those that come until it ends.

        Args:
            lines: how many; None: all that are kept.
            follow: go on.
            streams: "out", "err", "access", "event".
        """
        wanted = frozenset(streams)
        selection = Selection(streams=wanted | {"log"} if wanted & {"out", "err"} else wanted)
        interrupter = Interrupter()
        with at_home(self._home):
            target = resolve_target(name)
        selection = Selection(streams=selection.streams, workers=frozenset(target.workers))
        items = log_lines(target.name, selection, lines, follow=follow, interrupter=interrupter)
        return Stream(self._home, items, interrupter)

    def events(self, *names: str, lines: int = DEFAULT_EVENTS, follow: bool = False) -> Stream[Event]:
        """Yield the last events of all apps, or of these, and with `follow` those that come."""
        interrupter = Interrupter()
        with at_home(self._home):
            targets: list[Target] = resolve_targets(names) if names else []
            if follow and not names:
                resolve_targets(("all",))
        return Stream(self._home, events(targets, lines, follow=follow, interrupter=interrupter), interrupter)

    def _begin(self, name: str, method: str, params: msgspec.Struct) -> Operation:
        interrupter = Interrupter()
        with at_home(self._home):
            target = resolve_whole_app(name)
            try:
                steps = begun(target, method, params, interrupter)
            except NotRunning:
                if method in WHEN_STOPPED:
                    raise refusal_when_stopped(target, method) from None
                raise
        return Operation(self._home, steps, interrupter)
