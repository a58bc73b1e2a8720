"""Owns where the workers' standard output and error go: log files, followers, a terminal.

Runs in the supervisor process. It must never block: a follower that does not read loses lines, and a terminal that
stalls makes the workers wait.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from ..home.paths import AppPaths
from .event_log import EventLog
from .follower import Stream, Subscription
from .log_file import LogFile
from .pipes import AttachedOutput, ErrorTail, PipeReader
from .terminal import TerminalOutput


class WorkerOutput:
    """Where the output of all workers of an app goes: files, whoever follows, a terminal.

    Make it on the event loop.

    Args:
        paths: of the app.
        log: told about problems with the files.
        terminal: of a foreground app.
        has_files: whether there are files.

    Raises:
        FastlbError: a log file cannot be opened.
    """

    def __init__(
        self, paths: AppPaths, log: EventLog, terminal: TerminalOutput | None = None, *, has_files: bool = True
    ) -> None:
        names: dict[Stream, Path] = {"out": paths.out_log, "err": paths.error_log} if has_files else {}
        self._files = {stream: LogFile(path, log) for stream, path in names.items()}
        self._name = paths.name
        self._terminal = terminal
        self._subscriptions: set[Subscription] = set()
        self._attached: set[AttachedOutput] = set()
        self._is_held = False
        if terminal:
            loop = asyncio.get_running_loop()
            terminal.connect(self._hold, partial(loop.call_soon_threadsafe, self._release))

    def attach(self, worker_id: int, stdout_fd: int, stderr_fd: int) -> AttachedOutput:
        """Read the pipes of a worker that was just started; owns both descriptors from here on.

        Must be called on the event loop. The terminal shows `worker_id`.
        """
        prefix = f"{worker_id}|{self._name} | ".encode()
        tail = ErrorTail()

        def on_error_lines(lines: bytes) -> None:
            tail.keep(lines)
            self._write("err", prefix, lines)

        stdout = PipeReader(stdout_fd, lambda lines: self._write("out", prefix, lines))
        attached = AttachedOutput((stdout, PipeReader(stderr_fd, on_error_lines)), tail)
        self._attached = {other for other in self._attached if not other.is_closed}
        self._attached.add(attached)
        if self._is_held:
            attached.hold()
        return attached

    @property
    def subscriber_count(self) -> int:
        """How many read along."""
        return len(self._subscriptions)

    def sizes(self) -> dict[Stream, int]:
        """Sizes of the two files in bytes; 0 where there is none."""
        sizes: dict[Stream, int] = {"out": 0, "err": 0}
        return sizes | {stream: file.size_bytes for stream, file in self._files.items()}

    @contextlib.contextmanager
    def subscribed(self, stream: Literal["out", "err", "all"]) -> Iterator[Subscription]:
        """Every line from now on, for one reader, until the context ends."""
        subscription = Subscription(stream)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def reopen_if_moved(self) -> None:
        """Open each file anew whose name leads to another one, or to none."""
        for file in self._files.values():
            file.reopen_if_moved()

    def close(self) -> None:
        """Close the files. All pipes must have been drained."""
        for file in self._files.values():
            file.close()

    def _write(self, stream: Stream, prefix: bytes, lines: bytes) -> None:
        if file := self._files.get(stream):
            file.append(lines)
        for subscription in self._subscriptions:
            subscription.offer(stream, lines)
        if self._terminal:
            self._terminal.show(stream, prefix if self._terminal.has_prefix[stream] else b"", lines)

    def _hold(self) -> None:
        self._is_held = True
        for attached in self._attached:
            attached.hold()

    def _release(self) -> None:
        self._is_held = False
        for attached in self._attached:
            attached.release()
