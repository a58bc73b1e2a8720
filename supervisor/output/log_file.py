"""Owns one log file that whole lines are appended to. Runs in the supervisor process.

A full disk must cost lines and nothing else: they are counted, one warning a second says so, and the file
goes on with a mark once there is room. A file that was moved away is opened anew at its name within a second.
"""

import contextlib
import os
import time
from pathlib import Path

from ..errors import FastlbError
from .event_log import EventLog, open_log

WARNING_INTERVAL = 1.0
LOOK_INTERVAL = 1.0


class LogFile:
    """One file; created at once.

    Raises:
        FastlbError: it cannot be opened.
    """

    def __init__(self, path: Path, log: EventLog) -> None:
        self.path = path
        self._log = log
        self._lost_lines = 0
        self._is_torn = False  # the file ends within a line
        self._next_warning = 0.0
        self._next_look = time.monotonic() + LOOK_INTERVAL
        try:
            self._fd = open_log(path)
        except OSError as error:
            raise FastlbError(f"cannot write {path}: {error.strerror}: check its mode and owner") from error

    @property
    def size_bytes(self) -> int:
        """Size now; what is appended later begins there."""
        return os.fstat(self._fd).st_size

    def append(self, lines: bytes) -> None:
        """Append whole lines, with one write if the disk lets us. Never raises because of the disk."""
        if time.monotonic() >= self._next_look:
            self._look_at_name()
        if self._lost_lines and not self._mark_loss():
            self._lose(lines)
            return
        self._write(lines)

    def close(self) -> None:
        """Close the file. Nothing may be appended afterwards."""
        os.close(self._fd)

    def _write(self, lines: bytes) -> bool:
        written = 0
        try:
            while written < len(lines):
                written += os.write(self._fd, lines[written:] if written else lines)
        except OSError as error:
            self._is_torn = lines[:written][-1:] not in (b"", b"\n") or (written == 0 and self._is_torn)
            self._lose(lines[written:], error)
            return False
        self._is_torn = False
        return True

    def _mark_loss(self) -> bool:
        lost, self._lost_lines = self._lost_lines, 0
        start = b"\n" if self._is_torn else b""
        if self._write(start + b"[fastlb] %d lines were lost here: the disk did not take them\n" % lost):
            self._log.info("log_resumed", file=self.path, lost_lines=lost)
            return True
        self._lost_lines = lost
        return False

    def _lose(self, lines: bytes, error: OSError | None = None) -> None:
        self._lost_lines += lines.count(b"\n")
        now = time.monotonic()
        if error and now >= self._next_warning:
            self._next_warning = now + WARNING_INTERVAL
            self._log.warning(
                "log_not_writable", file=self.path, reason=error.strerror, lost_lines=self._lost_lines
            )

    def _look_at_name(self) -> None:
        self._next_look = time.monotonic() + LOOK_INTERVAL
        with contextlib.suppress(OSError):
            if os.path.samestat(os.lstat(self.path), os.fstat(self._fd)):
                return
        try:
            fd = open_log(self.path)
        except OSError as error:
            # The old file still takes the lines; whoever moved it knows where it is.
            self._log.warning("log_not_reopened", file=self.path, reason=error.strerror)
            return
        os.close(self._fd)
        self._fd = fd
        self._is_torn = False
