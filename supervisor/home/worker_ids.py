"""Owns worker-ids.json: which number names which worker, over all apps of a home. Runs in the user's shell.

A number is given when a command first sees the worker, and stays the worker's own as long as it has its place in the
app: through restarts, reloads and stops. It must never be given twice: the next one is written down, and begins anew at
0 when there is no app any more.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from ..regular_file import read_regular
from .stored_config import write_atomically

FILE_NAME = "worker-ids.json"


class Place(msgspec.Struct, frozen=True):
    """A worker: its app, and its number in it."""

    app: str
    worker: int


class Presence(msgspec.Struct, frozen=True):
    """What is known of the workers of one app.

    Attributes:
        workers: numbers of those that there are.
        is_whole: they are all that there are to be; if not, one that is missing keeps its number.
    """

    workers: Sequence[int]
    is_whole: bool


class WorkerIds(msgspec.Struct):
    """The numbers that are given.

    Attributes:
        next_id: the one that was never given yet.
        apps: of each app the number of each worker.
    """

    next_id: int = 0
    apps: dict[str, dict[int, int]] = {}

    def id_of(self, app: str, worker: int) -> int | None:
        """Return the number of a worker; None: it has none yet."""
        return self.apps.get(app, {}).get(worker)

    def place_of(self, number: int) -> Place | None:
        """Return the worker of this number; None: nobody has it."""
        for app, numbers in self.apps.items():
            for worker, own in numbers.items():
                if own == number:
                    return Place(app, worker)
        return None


def read_ids(home: Path) -> WorkerIds:
    """Return the numbers as they are written down; none if the file is missing or damaged."""
    try:
        return msgspec.json.decode(read_regular(home / FILE_NAME), type=WorkerIds)
    except (OSError, msgspec.DecodeError):
        return WorkerIds()


def claim_ids(home: Path, known: Sequence[str], present: Mapping[str, Presence]) -> WorkerIds:
    """Give every worker in `present` a number, take those back of workers and apps that are gone, and return all.

    `known`: all apps of the home. What cannot be written down counts for this call alone.
    """
    if not known and not (home / FILE_NAME).exists():
        return WorkerIds()  # looking changes nothing
    if (ids := updated(read_ids(home), known, present)) is None:
        return read_ids(home)
    with _locked(home):
        before = read_ids(home)
        ids = updated(before, known, present) or before
        with contextlib.suppress(OSError):
            write_atomically(home / FILE_NAME, msgspec.json.encode(ids))
    return ids


def updated(ids: WorkerIds, known: Sequence[str], present: Mapping[str, Presence]) -> WorkerIds | None:
    """Return `ids` as they are to be; None: nothing has changed. Pure; arguments as in `claim_ids`."""
    apps = {app: numbers for app, numbers in ids.apps.items() if app in known}
    next_id = ids.next_id if apps else 0
    for app, presence in present.items():
        before = apps.get(app, {})
        kept = {worker: own for worker, own in before.items() if worker in presence.workers or not presence.is_whole}
        for worker in sorted(set(presence.workers) - set(kept)):
            kept[worker] = next_id
            next_id += 1
        apps[app] = kept
    after = WorkerIds(next_id, apps)
    return None if after == ids else after


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Keep other commands from writing at the same time; where there is nothing to be locked, nobody writes."""
    try:
        fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
