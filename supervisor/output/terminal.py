"""Owns the terminal of `fastlb run`: the workers' lines with a prefix. Runs in the supervisor process.

A thread of its own writes, because a terminal may stall (^S, a slow pager) and its descriptor, being shared
with the shell, must not be made non-blocking. When too much waits, the workers' pipes are no longer read.
"""

import os
import threading
from collections import deque
from collections.abc import Callable

from ..safe_text import escape_output_bytes
from .follower import Stream

STDOUT_FD = 1
STDERR_FD = 2
HIGH_WATER_BYTES = 1 << 20
LOW_WATER_BYTES = 1 << 18
CLOSE_SECONDS = 1.0


class TerminalOutput:
    """Shows lines on standard output and standard error, in order, without ever blocking the caller.

    Args:
        prefix: whether a worker's lines are to say whose they are; None: on a terminal.

    Attributes:
        has_prefix: what that means for each stream.
    """

    def __init__(self, prefix: bool | None = None) -> None:
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._is_closing = False
        self._is_full = False
        self._on_full: Callable[[], object] = lambda: None
        self._on_room: Callable[[], object] = lambda: None
        self._fds: dict[Stream, int] = {"out": STDOUT_FD, "err": STDERR_FD}
        self._escapes: dict[Stream, bool] = {stream: os.isatty(fd) for stream, fd in self._fds.items()}
        self.has_prefix = self._escapes if prefix is None else dict.fromkeys(self._escapes, prefix)
        self._writer = threading.Thread(target=self._write_all, name="terminal", daemon=True)
        self._writer.start()

    def connect(self, on_full: Callable[[], object], on_room: Callable[[], object]) -> None:
        """Have `on_full` called (by `show`) when too much waits, `on_room` (by the writing thread) later."""
        self._on_full = on_full
        self._on_room = on_room

    def show(self, stream: Stream, prefix: bytes, lines: bytes) -> None:
        """Queue whole lines, each with `prefix`."""
        if self._escapes[stream]:
            lines = escape_output_bytes(lines)
        text = prefix + lines[:-1].replace(b"\n", b"\n" + prefix) + b"\n"
        with self._changed:
            self._waiting.append((self._fds[stream], text))
            self._waiting_bytes += len(text)
            becomes_full = self._waiting_bytes > HIGH_WATER_BYTES and not self._is_full
            self._is_full = self._is_full or becomes_full
            self._changed.notify()
        if becomes_full:
            self._on_full()

    def close(self) -> None:
        """Write what waits, for at most CLOSE_SECONDS."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._writer.join(CLOSE_SECONDS)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                if not self._waiting:
                    return
                fd, text = self._waiting.popleft()
            _write_whole(fd, text)
            self._account(len(text))

    def _account(self, written: int) -> None:
        with self._changed:
            self._waiting_bytes -= written
            gets_room = self._is_full and self._waiting_bytes < LOW_WATER_BYTES
            self._is_full = self._is_full and not gets_room
        if gets_room:
            self._on_room()


def _write_whole(fd: int, text: bytes) -> None:
    view = memoryview(text)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        # The terminal is gone; the log files have the lines.
        return
