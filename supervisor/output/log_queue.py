"""Owns the lines on their way to the log files: what waits for the disk, and what is dropped when that is too much.

Runs in the supervisor process, on its loop; a thread writes. A disk that is full, slow or dead must stop neither loop
nor workers. While it keeps up nothing is lost: a burst holds the workers up for a moment. One that does not costs
lines, which are counted, and a mark stands where they are missing.

    FLOWING --FULL_BYTES wait--> HELD --PATIENCE is over--> DROPPING
       ^                          |                            |
       +------------- at most LOW_BYTES wait ------------------+
"""

import asyncio
import contextlib
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from .event_log import EventLog
from .line_format import Origin
from .log_sink import FileEnd, LogSink
from .writer_thread import WriterThread

FULL_BYTES = 8 << 20
LOW_BYTES = 4 << 20
# Workers that are held may end, and what lies in their pipes is taken then.
MOST_BYTES = 16 << 20
# A disk that takes (FULL_BYTES - LOW_BYTES) / PATIENCE = 16 MB/s loses nothing, however fast the workers print.
PATIENCE = 0.25
# A disk that has taken nothing for so long, while the queue became full, hangs: patience would help nobody.
HANGS_SECONDS = 0.25
# So long after lines were dropped nobody is held up again: the disk is known.
NO_PATIENCE_SECONDS = 10.0
STALL_SECONDS = 2.0
CLOSE_SECONDS = 4.0
SIZES_SECONDS = 1.0
MOST_ORIGINS = 4096


class Flow(Enum):
    """What becomes of lines that come in. HELD: the workers' pipes are not read, but what was read is queued."""

    FLOWING = "flowing"
    HELD = "held"
    DROPPING = "dropping"


@dataclass(frozen=True)
class Lines:
    """Whole lines of one origin; `lost`: of so many only the number is left."""

    origin: Origin
    lines: bytes
    lost: int = 0


Answer = TypeVar("Answer")
Command = Callable[[], object]


class LogQueue:
    """Passes lines on to the files of an app without waiting for them. Everything is called on the event loop.

    Args:
        files: where lines end; owned; nobody else may use it from here on.
        log: is told when lines are dropped, and when the disk hangs.
        hold, release: stop reading the workers' pipes, and read them again.
    """

    def __init__(
        self, files: LogSink, log: EventLog, hold: Callable[[], object], release: Callable[[], object]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._files = files
        self._log = log
        self._hold = hold
        self._release = release
        self._thread: WriterThread[Lines | Command] = WriterThread("log files", self._write, self._report_failure)
        self._flow = Flow.FLOWING
        self._dropped: Counter[Origin] = Counter()
        self._no_patience_until = 0.0
        self._done_bytes = -1  # when it was looked at last, and when it had changed then
        self._moved_at = 0.0
        self._is_reopening = False
        self._is_closed = False
        self._ends: list[FileEnd] = []
        self._giving_up: asyncio.TimerHandle | None = None
        self._stall = _StallWatch(self._loop, self._thread, log)

    def append(self, origin: Origin, lines: bytes) -> None:
        """Queue whole lines, or drop and count them."""
        if self._is_closed:
            return
        if self._flow is Flow.DROPPING:
            self._count(origin, lines.count(b"\n"))
            return
        if self._thread.stage(Lines(origin, lines), len(lines)):
            self._loop.call_soon(self._thread.commit)  # together with what other pipes hold now
        self._stall.look_later()
        waiting = self._thread.waiting_bytes
        if waiting > LOW_BYTES:
            self._note_progress()
        if waiting > FULL_BYTES and (self._flow is Flow.FLOWING or waiting > MOST_BYTES):
            self._become_full(waiting)

    def forget(self, worker: int, pid: int) -> None:
        """Close the files that were only for a process that has ended."""
        if self._files.has_files_per_process and self._thread.waiting_bytes < MOST_BYTES:
            self._thread.put(lambda: self._files.forget(worker, pid), 0)

    def reopen_if_moved(self) -> None:
        """Open each file anew, soon, whose name leads to another one, or to none."""
        if not self._is_reopening:
            self._is_reopening = True
            self._thread.put(self._reopen, 0)

    async def written(self) -> None:
        """Return when everything that was queued until now is written, or dropped."""
        await self._asked(lambda: None)

    async def ends(self) -> list[FileEnd]:
        """Return where each open file ends, with what was queued until now.

        When the disk hangs it is what was there when it last did not.
        """
        with contextlib.suppress(TimeoutError):
            self._ends = await asyncio.wait_for(self._asked(self._files.ends), SIZES_SECONDS)
        return self._ends

    def report(self) -> dict[str, Any]:
        """Return for `show` what waits, how long the disk has hung, and how many lines each file has lost."""
        shown: dict[str, Any] = {"waiting_bytes": self._thread.waiting_bytes, "lost_lines": self._files.lost_lines()}
        if self._dropped:
            shown["dropped_now"] = self._dropped.total()
        if self._stall.seconds:
            shown["hanging_s"] = self._stall.seconds
        return shown

    def close(self) -> None:
        """Write what waits, for at most CLOSE_SECONDS, and close the files; the log says what was not written."""
        self._is_closed = True
        self._stall.stop()
        if self._giving_up:
            self._giving_up.cancel()
        self._pass_on_dropped()
        undone = self._thread.close(CLOSE_SECONDS, self._files.close)
        count = sum(item.lost or item.lines.count(b"\n") for item in undone if isinstance(item, Lines))
        if count:
            self._log.error("log_lines_not_written", count=count, reason="the disk hangs")

    def _reopen(self) -> None:
        self._is_reopening = False
        self._files.reopen_if_moved()

    def _count(self, origin: Origin, lost: int) -> None:
        if len(self._dropped) >= MOST_ORIGINS and origin not in self._dropped:
            origin = next(iter(self._dropped))  # thousands of processes have come and gone: the sum stays right
        self._dropped[origin] += lost

    def _write(self, item: Lines | Command) -> None:
        if not isinstance(item, Lines):
            item()
        elif item.lost:
            self._files.lose(item.origin, item.lost)
        else:
            self._files.append(item.origin, item.lines)

    def _become_full(self, waiting: int) -> None:
        was, self._flow = self._flow, Flow.HELD
        now = self._loop.time()
        hangs = now - self._moved_at > HANGS_SECONDS
        if waiting > MOST_BYTES or hangs or now < self._no_patience_until:
            self._drop()
        else:
            self._hold()
            self._giving_up = self._loop.call_later(PATIENCE, self._drop)
        if was is Flow.FLOWING:
            self._thread.call_at(LOW_BYTES, lambda: self._on_loop(self._on_room))

    def _note_progress(self) -> None:
        done_bytes = self._thread.done_bytes
        if done_bytes != self._done_bytes:
            self._done_bytes, self._moved_at = done_bytes, self._loop.time()

    def _drop(self) -> None:
        self._end_hold()
        self._flow = Flow.DROPPING
        self._log.warning(
            "log_lines_dropped",
            reason="the disk takes less than the workers write",
            waiting_bytes=self._thread.waiting_bytes,
        )

    def _on_room(self) -> None:
        if self._flow is Flow.DROPPING:
            self._no_patience_until = self._loop.time() + NO_PATIENCE_SECONDS
        self._end_hold()
        self._flow = Flow.FLOWING
        self._pass_on_dropped()

    def _end_hold(self) -> None:
        if self._giving_up:
            self._giving_up.cancel()
            self._giving_up = None
            self._release()

    def _pass_on_dropped(self) -> None:
        dropped, self._dropped = self._dropped, Counter()
        for origin, count in dropped.items():
            self._thread.put(Lines(origin, b"", count), 0)

    async def _asked(self, question: Callable[[], Answer]) -> Answer:
        """Have the thread answer, when it has written what was queued until now."""
        answered: asyncio.Future[Answer] = self._loop.create_future()

        def pass_on(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        def ask() -> None:
            answer = question()
            self._on_loop(lambda: pass_on(answer))

        self._thread.put(ask, 0)
        return await answered

    def _on_loop(self, function: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            return  # the loop is closed: nobody waits for it any more

    def _report_failure(self, error: Exception) -> None:
        self._log.error("log_failed", reason=repr(error), traceback="".join(traceback.format_exception(error)))


class _StallWatch:
    """Looks whether the disk goes on, while something waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: WriterThread[Any], log: EventLog) -> None:
        self._loop = loop
        self._thread = thread
        self._log = log
        self._timer: asyncio.TimerHandle | None = None
        self._done_bytes = 0
        self._looked_at = 0.0
        self._since = 0.0

    @property
    def seconds(self) -> float:
        """For how long nothing has been written, though something waits; 0.0 if that is not for long."""
        return round(self._loop.time() - self._since, 1) if self._since else 0.0

    def look_later(self) -> None:
        """Something is waiting: look whether it is written."""
        if self._timer is None:
            self._done_bytes, self._looked_at = self._thread.done_bytes, self._loop.time()
            self._timer = self._loop.call_later(STALL_SECONDS, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        has_moved = self._thread.done_bytes != self._done_bytes or not self._thread.waiting_bytes
        if has_moved and self._since:
            self._log.info("log_goes_on", hung_s=self.seconds)
            self._since = 0.0
        elif not has_moved and not self._since:
            self._since = self._looked_at
            self._log.warning("log_hangs", reason="the disk takes nothing", waiting_bytes=self._thread.waiting_bytes)
        if self._thread.waiting_bytes:
            self.look_later()
