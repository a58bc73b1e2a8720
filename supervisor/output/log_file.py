"""Owns one log file of the workers' output: a LineFile that says in the event log what is the matter with it.

Runs in the supervisor process, in the thread that writes log files. It is rotated between two lines, by rename; a disk
that refuses everything costs one warning a second.
"""

import os
import time
from pathlib import Path

from ..errors import FastlbError
from . import wall_clock
from .event_log import EventLog
from .line_file import LineFile, Problem
from .loss_mark import Mark, text_mark
from .rotation import NEVER, RotatedFiles, rotate

WARNING_INTERVAL = 1.0
DIRECTORY_MODE = 0o750


class LogFile:
    """One file; created at once, with its directories.

    Args:
        path: its name.
        log: is told of problems.
        rotated: what says when it is rotated, and cares for the files that were; None: it is not.
        mark: the line that stands where so many lines were lost.

    Raises:
        FastlbError: it cannot be opened.
    """

    def __init__(self, path: Path, log: EventLog, rotated: RotatedFiles | None = None, mark: Mark = text_mark) -> None:
        self.path = path
        self._rules = rotated.rules if rotated else NEVER
        self._rotated = rotated
        self._log = log
        self._next_warning = 0.0
        self._last_rotated: Path | None = None
        try:
            path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            self._file = LineFile(path, mark, self._report)
        except OSError as error:
            raise FastlbError(f"cannot write {path}: {error.strerror}: check its mode and owner") from error
        self._size, self._period = self._look()

    @property
    def fd(self) -> int:
        """The descriptor, borrowed until anything else is called; -1 after `close`."""
        return self._file.fd

    @property
    def opening(self) -> int:
        """As in LineFile."""
        return self._file.opening

    @property
    def size_bytes(self) -> int:
        """Size now; what is appended later begins there."""
        return self._file.size_bytes

    def append(self, lines: bytes) -> None:
        """Append whole lines. Never raises because of the disk."""
        if self._rules.is_due(self._size, len(lines), self._period, wall_clock.now()):
            self._rotate(len(lines))
        self._file.append(lines)
        self._size += len(lines)

    @property
    def lost_lines(self) -> int:
        """How many the disk did not take, or were dropped on the way to it."""
        return self._file.lost_lines

    def lose(self, count: int) -> None:
        """So many lines were dropped before they came here."""
        self._file.lose(count)

    def reopen_if_moved(self) -> None:
        """Open the file anew when its name leads to another one, or to none."""
        self._file.reopen_if_moved()
        self._size, self._period = self._look()

    def close(self) -> None:
        """Close the file. Later lines go nowhere."""
        self._file.close()

    def _look(self) -> tuple[int, float]:
        """Return the size of the file, and the period of what is in it."""
        status = os.fstat(self._file.fd)
        return status.st_size, self._rules.period(status.st_mtime if status.st_size else wall_clock.now())

    def _rotate(self, more: int) -> None:
        """Rotate, unless another process that writes the same file has just done so."""
        now = wall_clock.now()
        self.reopen_if_moved()
        if not self._rules.is_due(self._size, more, self._period, now):
            return
        try:
            self._last_rotated = rotate(self.path, now, self._last_rotated)
        except OSError as error:
            self._warn("log_not_rotated", error.strerror or str(error))
            self._size, self._period = 0, self._rules.period(now)  # try again when as much has come once more
            return
        self.reopen_if_moved()
        if self._rotated:
            self._rotated.tidy(self.path)

    def _report(self, problem: Problem) -> None:
        if problem.event == "log_resumed":
            self._log.info(problem.event, file=self.path, lost_lines=problem.lost_lines)
        elif problem.event == "log_not_reopened":
            self._log.warning(problem.event, file=self.path, reason=problem.reason)
        else:
            self._warn(problem.event, problem.reason, lost_lines=problem.lost_lines)

    def _warn(self, event: str, reason: str, **fields: object) -> None:
        if time.monotonic() >= self._next_warning:
            self._next_warning = time.monotonic() + WARNING_INTERVAL
            self._log.warning(event, file=self.path, reason=reason, **fields)
