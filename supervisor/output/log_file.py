"""Owns one log file of the workers' output: a LineFile that says in the event log what is the matter with it.

Runs in the supervisor process. A disk that refuses everything costs one warning a second.
"""

import time
from pathlib import Path

from ..errors import FastlbError
from .event_log import EventLog
from .line_file import LineFile, Problem

WARNING_INTERVAL = 1.0


class LogFile:
    """One file; created at once.

    Raises:
        FastlbError: it cannot be opened.
    """

    def __init__(self, path: Path, log: EventLog) -> None:
        self.path = path
        self._log = log
        self._next_warning = 0.0
        try:
            self._file = LineFile(path, _lost_lines_mark, self._report)
        except OSError as error:
            raise FastlbError(f"cannot write {path}: {error.strerror}: check its mode and owner") from error

    @property
    def size_bytes(self) -> int:
        """Size now; what is appended later begins there."""
        return self._file.size_bytes

    def append(self, lines: bytes) -> None:
        """Append whole lines. Never raises because of the disk."""
        self._file.append(lines)

    def reopen_if_moved(self) -> None:
        """Open the file anew when its name leads to another one, or to none."""
        self._file.reopen_if_moved()

    def close(self) -> None:
        """Close the file. Later lines go nowhere."""
        self._file.close()

    def _report(self, problem: Problem) -> None:
        if problem.event == "log_resumed":
            self._log.info(problem.event, file=self.path, lost_lines=problem.lost_lines)
        elif problem.event == "log_not_reopened":
            self._log.warning(problem.event, file=self.path, reason=problem.reason)
        elif time.monotonic() >= self._next_warning:
            self._next_warning = time.monotonic() + WARNING_INTERVAL
            self._log.warning(
                problem.event, file=self.path, reason=problem.reason, lost_lines=problem.lost_lines
            )


def _lost_lines_mark(count: int) -> bytes:
    return b"[fastlb] %d lines were lost here: the disk did not take them\n" % count
