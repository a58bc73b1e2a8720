"""Owns which lines belong together (`log_multiline`): a traceback and the line above it are one record.

Runs in the supervisor process. A record is whole when a line comes that does not go on with it, or none comes for
GATHER_SECONDS. Known are the tracebacks of Python, and by indentation those of Node, Java and most others.
"""

import asyncio
import re
from collections.abc import Callable

MAX_RECORD_BYTES = 64 * 1024
GATHER_SECONDS = 0.1
TRACEBACK = b"Traceback (most recent call last):"
# What stands between the tracebacks of exceptions that came one from the other.
LINKS = (b"During handling of the above exception", b"The above exception was the direct cause", b"Caused by: ")

# What may make a line go on with the one above it.
_MAY_GO_ON = re.compile(rb"\n(?:[ \t\n}]|" + b"|".join(map(re.escape, (TRACEBACK, *LINKS))) + b")")


class Records:
    """The lines of one stream, gathered to records. Pure."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._size_bytes = 0
        self._blanks = 0  # empty lines whose place is not known yet
        self._is_within_traceback = False
        self._is_indented = False

    @property
    def is_unfinished(self) -> bool:
        """Whether lines wait for what follows them."""
        return bool(self._lines)

    def add(self, lines: bytes) -> list[bytes]:
        """Take whole lines; return the records that are whole now, each with the newline at its end."""
        if not self._is_within_traceback and not _MAY_GO_ON.search(b"\n" + lines):
            return self._add_separate(lines)
        whole: list[bytes] = []
        for line in lines[:-1].split(b"\n"):
            has_room = self._size_bytes + self._blanks + len(line) < MAX_RECORD_BYTES
            if not line and self._lines and has_room:
                self._blanks += 1
            elif self._lines and has_room and self._goes_on(line):
                self._go_on(line)
            else:
                whole += self.flush()
                self._begin(line)
        return whole

    def _add_separate(self, lines: bytes) -> list[bytes]:
        """Take lines of which none goes on with another, in fewer steps."""
        *whole, last = [line + b"\n" for line in lines[:-1].split(b"\n")]
        whole = [*self.flush(), *whole]
        self._begin(last[:-1])
        return whole

    def flush(self) -> list[bytes]:
        """Return what waits, as records."""
        if not self._lines:
            return []
        whole = [b"\n".join(self._lines) + b"\n", *[b"\n"] * self._blanks]
        self._lines, self._size_bytes, self._blanks = [], 0, 0
        return whole

    def _goes_on(self, line: bytes) -> bool:
        if line.startswith((*LINKS, TRACEBACK)):
            return True
        if self._blanks:
            return False
        # What ends the frames of Python's is the exception; of Node's perhaps its members in braces.
        return line[:1] in b" \t" or self._is_within_traceback or (line == b"}" and self._is_indented)

    def _go_on(self, line: bytes) -> None:
        self._lines += [b""] * self._blanks + [line]
        self._size_bytes += self._blanks + len(line) + 1
        self._blanks = 0
        self._note(line)

    def _begin(self, line: bytes) -> None:
        self._lines = [line]
        self._size_bytes = len(line) + 1
        self._is_indented = False
        self._note(line)

    def _note(self, line: bytes) -> None:
        is_indented = line[:1] in (b" ", b"\t")
        self._is_indented = self._is_indented or is_indented
        self._is_within_traceback = line == TRACEBACK or (self._is_within_traceback and is_indented)


class GatheredOutput:
    """One stream, passed on in records; nothing waits for longer than GATHER_SECONDS. Lives on the event loop."""

    def __init__(self, pass_on: Callable[[list[bytes]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._pass_on = pass_on
        self._records = Records()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, lines: bytes) -> None:
        """Take whole lines."""
        whole = self._records.add(lines)
        if whole:
            self._pass_on(whole)
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(GATHER_SECONDS, self.end) if self._records.is_unfinished else None

    def end(self) -> None:
        """Pass on what waits: nothing follows."""
        if self._timer:
            self._timer.cancel()
        if self._records.is_unfinished:
            self._pass_on(self._records.flush())
