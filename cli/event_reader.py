"""Owns reading the events of apps from their files: the last ones, and those that come. Runs in the user's shell.

It changes nothing, and needs no supervisor: the events of an app that is stopped are there as well.
"""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from ..supervisor.errors import FastlbError
from ..supervisor.output.event_record import MAX_FILE_BYTES, Event, decode_event, put_away_name
from ..supervisor.regular_file import open_regular

# A file may be a little larger than it should: somebody else may have written to it.
MOST_READ_BYTES = 4 * MAX_FILE_BYTES


def last_events(readers: Sequence["EventReader"], count: int) -> list[Event]:
    """Return the last `count` events of some apps together, oldest first; their readers go on behind them.

    Raises:
        FastlbError: a file is there and cannot be read.
    """
    events = [event for reader in readers for event in reader.read_kept()]
    # Stable, and the order within an app is that of its file as long as its clock was not put back.
    return sorted(events, key=lambda event: event.time)[-count:] if count else []


class EventReader:
    """Reads the events of one app.

    Args:
        path: of its file, which need not be there yet.
        app: its name.
        workers: numbers of those whose events alone are wanted; empty: all events.
    """

    def __init__(self, path: Path, app: str, workers: Collection[int] = ()) -> None:
        self.path = path
        self._app = app
        self._workers = workers
        self._fd = -1
        self._partial = b""

    def read_kept(self) -> list[Event]:
        """Return everything that is kept, oldest first; `read_new` goes on behind it.

        Raises:
            FastlbError: a file is there and cannot be read.
        """
        self._open()
        # Opened before the older one is looked for: what is put away in between is the one that is open.
        older = self._read_put_away()
        return older + self._read_open()

    def read_new(self) -> list[Event]:
        """Return what has come since.

        Raises:
            FastlbError: a file is there and cannot be read.
        """
        events = self._read_open()
        if self._is_current():
            return events
        # What came between our last look and the moment when it was put away.
        events += self._read_open()
        if self._fd >= 0 and not _is_same(put_away_name(self.path), self._fd):
            older = self._read_put_away()
            events += [*map(self._missed_before, older[:1]), *older]
        self._open()
        return events + self._read_open()

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self._partial = b""

    def _open(self) -> None:
        self.close()
        self._fd = _open(self.path)

    def _is_current(self) -> bool:
        """Whether the open file is the one that is written now."""
        return _is_same(self.path, self._fd) if self._fd >= 0 else not self.path.exists()

    def _read_open(self) -> list[Event]:
        if self._fd < 0:
            return []
        lines = (self._partial + _read(self._fd, self.path)).split(b"\n")
        self._partial = lines.pop()[-MOST_READ_BYTES:]
        return self._wanted(lines)

    def _read_put_away(self) -> list[Event]:
        path = put_away_name(self.path)
        fd = _open(path)
        if fd < 0:
            return []
        try:
            if self._fd >= 0 and os.path.samestat(os.fstat(fd), os.fstat(self._fd)):
                return []
            return self._wanted(_read(fd, path).split(b"\n"))
        finally:
            os.close(fd)

    def _wanted(self, lines: list[bytes]) -> list[Event]:
        events = [event for line in lines if line and (event := decode_event(line))]
        return [event for event in events if not self._workers or event.fields.get("worker_id") in self._workers]

    def _missed_before(self, event: Event) -> Event:
        reason = "they came faster than they were read"
        return Event(event.time, "warning", "events_missed", self._app, {"reason": reason})


def _open(path: Path) -> int:
    """Return a descriptor; -1: there is no such file."""
    try:
        return open_regular(path, os.O_RDONLY)
    except FileNotFoundError:
        return -1
    except OSError as error:
        raise _unreadable(path, error) from error


def _read(fd: int, path: Path) -> bytes:
    try:
        return os.read(fd, MOST_READ_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> FastlbError:
    return FastlbError(f"cannot read {path}: {error.strerror}")


def _is_same(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except OSError:
        return False
