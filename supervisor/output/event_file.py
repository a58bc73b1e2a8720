"""Owns NAME-events.jsonl: what happened to an app, kept through restarts of its supervisor, bounded in bytes.

Runs in the supervisor process, which alone writes it. It must never raise because of the disk once it is open: a full
one costs events, which are counted.
"""

import contextlib
import os
import threading
from pathlib import Path

from ..errors import FastlbError
from . import wall_clock
from .event_record import MAX_FILE_BYTES, Event, encode_event, format_time, put_away_name
from .line_file import LineFile, Problem


class EventFile:
    """The events of one app; created at once.

    Args:
        path: of the file.
        app: its name.

    Raises:
        FastlbError: it cannot be opened.
    """

    def __init__(self, path: Path, app: str) -> None:
        self._app = app
        self._writing = threading.Lock()  # the thread that cares for rotated logs has something to say as well
        try:
            self._file = LineFile(path, self._lost, _ignore)
        except OSError as error:
            raise FastlbError(f"cannot write {path}: {error.strerror}") from error

    def append(self, timestamp: float, level: str, event: str, fields: dict[str, object]) -> None:
        """Append one event; `timestamp`: seconds since the epoch. The rest as in Event."""
        line = encode_event(Event(format_time(timestamp), level, event, self._app, fields))
        with self._writing:
            if self._file.fd >= 0 and self._file.size_bytes + len(line) > MAX_FILE_BYTES:
                self._put_away()
            self._file.append(line)

    def lose(self, count: int) -> None:
        """So many events were dropped before they came here."""
        with self._writing:
            self._file.lose(count)

    def reopen_if_moved(self) -> None:
        """Open the file anew when its name leads to another one, or to none."""
        self._file.reopen_if_moved()

    def close(self) -> None:
        """Close the file. Later events go nowhere."""
        self._file.close()

    def _put_away(self) -> None:
        with contextlib.suppress(OSError):
            os.replace(self._file.path, put_away_name(self._file.path))
        self._file.reopen_if_moved()
        if self._file.size_bytes >= MAX_FILE_BYTES // 2:  # it could not be put away: the bound holds all the same
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fd, 0)

    def _lost(self, count: int) -> bytes:
        fields = {"count": count}
        return encode_event(Event(format_time(wall_clock.now()), "warning", "events_lost", self._app, fields))


def _ignore(_: Problem) -> None:
    """The supervisor's log lies beside it on the same disk, and says what is the matter with that."""
