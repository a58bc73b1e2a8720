"""Owns where the workers' standard output and error go: log files, followers, a terminal.

Runs in the supervisor process. It must never block: a follower that does not read loses lines, as files do whose disk
does not keep up, and a terminal that stalls makes the workers wait.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from ..home.log_files import log_templates
from ..home.paths import AppPaths
from ..settings.app_config import AppConfig
from . import wall_clock
from .event_log import EventLog
from .follower import STREAMS, Chunk, OtherStream, Subscription
from .line_format import FormatRules, Origin, make_format
from .log_queue import LogQueue
from .log_sink import FileEnd
from .log_target import DAEMONS, make_sink
from .pipes import AttachedOutput, ErrorTail, PipeReader
from .records import GatheredOutput
from .stages import PassedOn, SortedOutput, Stage
from .terminal import TerminalOutput


class WorkerOutput:
    """Where the output of all workers of an app goes: files, whoever follows, a terminal.

    Make it on the event loop.

    Args:
        config: the settings.
        paths: of the app.
        log: told about problems with the files.
        terminal: of a foreground app.
        has_files: whether there are files besides those that the settings name.

    Raises:
        FastlbError: a log file cannot be opened, or a setting means nothing.
    """

    def __init__(
        self,
        config: AppConfig,
        paths: AppPaths,
        log: EventLog,
        terminal: TerminalOutput | None = None,
        *,
        has_files: bool = True,
    ) -> None:
        templates = log_templates(config, paths, defaults=has_files)
        self._settings = config
        sink = make_sink(config, templates, log, index=paths.log_index, has_terminal=terminal is not None)
        self._files = LogQueue(sink, log, partial(self._hold, "disk"), partial(self._release, "disk"))
        self._format = make_format(FormatRules.of(config))
        self._name = paths.name
        self._log = log
        log.listener = partial(self._pass_event_on, asyncio.get_running_loop())
        self._terminal = terminal
        self._subscriptions: set[Subscription] = set()
        self._attached: set[AttachedOutput] = set()
        self._held_for: set[str] = set()
        self._lines: Counter[str] = Counter()
        if terminal:
            soon = partial(asyncio.get_running_loop().call_soon_threadsafe)
            terminal.connect(partial(soon, self._hold, "terminal"), partial(soon, self._release, "terminal"))

    def attach(self, worker_id: int, pid: int, stdout_fd: int, stderr_fd: int) -> AttachedOutput:
        """Read the pipes of a worker that was just started; owns both descriptors from here on.

        Must be called on the event loop.
        """
        out, err = (self._stage(Origin(self._name, worker_id, pid, stream)) for stream in STREAMS)
        tail = ErrorTail()

        def on_error_lines(lines: bytes) -> None:
            tail.keep(lines)
            err.take(lines)

        def on_end() -> None:
            out.end()
            err.end()
            self._files.forget(worker_id, pid)

        readers = (PipeReader(stdout_fd, out.take), PipeReader(stderr_fd, on_error_lines))
        attached = AttachedOutput(readers, tail, on_end)
        self._attached = {other for other in self._attached if not other.is_closed}
        self._attached.add(attached)
        if self._held_for:
            attached.hold()
        return attached

    @property
    def subscriber_count(self) -> int:
        """How many read along."""
        return len(self._subscriptions)

    async def ends(self) -> list[FileEnd]:
        """Where each log file that is open ends, that of events as well, once what came until now is written."""
        events = self._log.end()
        return [*await self._files.ends(), *([FileEnd(*events)] if events else [])]

    async def written(self) -> None:
        """Return when what came until now is written; a disk that hangs makes that never."""
        await self._files.written()

    def report(self) -> dict[str, Any]:
        """Return what `show` says of the files: what waits for the disk, and what is lost."""
        return self._files.report()

    @property
    def line_counts(self) -> dict[str, int]:
        """How many lines the workers have written, by stream."""
        return dict(self._lines)

    @property
    def event_counts(self) -> dict[str, Any]:
        """How often what was told in events has happened, as EventTally.counts says."""
        return self._log.tally.counts()

    @contextlib.contextmanager
    def subscribed(
        self, stream: Literal["out", "err", "all", "none"], others: Collection[OtherStream] = ()
    ) -> Iterator[Subscription]:
        """Every line from now on, for one reader, until the context ends."""
        subscription = Subscription(stream, others)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def reopen_if_moved(self) -> None:
        """Open each file anew whose name leads to another one, or to none."""
        self._files.reopen_if_moved()

    async def reopen(self) -> None:
        """Open each file anew that was moved away, that of events as well; return when it is done."""
        self._log.reopen_if_moved()
        self.reopen_if_moved()
        await self.written()

    def close(self) -> None:
        """Write what waits, for a bounded time, and close the files. All pipes must have been drained."""
        self._files.close()

    def _stage(self, origin: Origin) -> Stage:
        stage: Stage = PassedOn(partial(self._write, origin))
        if self._settings.log_multiline:
            stage = GatheredOutput(partial(self._write_records, origin))
        if self._settings.access_file and origin.stream == "out":
            stage = SortedOutput(stage, partial(self._write, replace(origin, stream="access")))
        return stage

    def _write_records(self, origin: Origin, records: list[bytes]) -> None:
        if self._settings.log_target not in DAEMONS:
            self._pass_on(origin, self._format.records(origin, records))
            return
        for record in records:  # each is a message
            self._pass_on(origin, self._format.records(origin, [record]))

    def _write(self, origin: Origin, lines: bytes) -> None:
        self._pass_on(origin, self._format(origin, lines))

    def _pass_on(self, origin: Origin, lines: bytes) -> None:
        self._files.append(origin, lines)
        self._lines[origin.stream] += lines.count(b"\n")
        if self._subscriptions:
            self._offer(Chunk(origin.stream, lines, origin.worker, origin.pid, wall_clock.now()))
        if self._terminal and self._settings.log_target == "stdout":
            self._terminal.show("out", b"", lines)
        elif self._terminal and origin.stream != "access":
            has_prefix = self._terminal.has_prefix[origin.stream] and self._format.leaves_origin_out
            prefix = f"{origin.worker}|{origin.app} | ".encode() if has_prefix else b""
            self._terminal.show(origin.stream, prefix, lines)

    def _offer(self, chunk: Chunk) -> None:
        for subscription in self._subscriptions:
            subscription.offer(chunk)

    def _pass_event_on(self, loop: asyncio.AbstractEventLoop, line: bytes) -> None:
        """Any thread calls this."""
        if self._subscriptions:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._offer, Chunk("event", line))

    def _hold(self, reason: str) -> None:
        self._held_for.add(reason)
        for attached in self._attached:
            attached.hold()

    def _release(self, reason: str) -> None:
        self._held_for.discard(reason)
        if self._held_for:
            return
        for attached in self._attached:
            attached.release()
