"""Owns the pipes behind a worker's stdout and stderr: bytes in, whole lines out. Runs in the supervisor process.

Lines are whole: two workers never share one. Nothing written before a death is lost. It costs per chunk, not
per line: one read, one search for the last newline, one write. It must never block, and never keep more than
one unfinished line of a pipe in memory; a full pipe is what slows down a worker that writes too much.
"""

import asyncio
import os
from collections.abc import Callable

READ_BYTES = 64 * 1024
MAX_LINE_BYTES = 64 * 1024
SPLIT_MARK = b" [fastlb: the line goes on]\n"
# A pipe that was read a moment ago is left alone for a while, so that lines come many at a time: waking up costs
# as much as a hundred lines. Longer and longer while little comes, and not at all when half of a pipe is full: it has
# room for 64 KiB only, and whoever fills it waits.
SHORTEST_GATHER = 0.004
LONGEST_GATHER = 0.05
LITTLE_BYTES = 8192
BUSY_BYTES = 32768
DRAIN_SECONDS = 1.0
MAX_LAST_BYTES = 1 << 20
TAIL_BYTES = 8192


class PipeReader:
    """Reads one pipe and passes on whole lines. Owns `fd`; `closed` is done when it is at its end.

    `deliver` gets chunks that consist of whole lines.
    """

    def __init__(self, fd: int, deliver: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._fd = fd
        self._deliver = deliver
        self._partial = b""
        self._last_read = 0.0
        self._is_held = False
        self._is_hurried = False
        self._gather_seconds = SHORTEST_GATHER
        self._gathering: asyncio.TimerHandle | None = None
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._on_readable)

    def hold(self) -> None:
        """Stop reading: the pipe fills, and the worker waits."""
        self._is_held = True
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)

    def release(self) -> None:
        """Read again."""
        self._is_held = False
        if self._fd >= 0 and not self._gathering:
            self._loop.add_reader(self._fd, self._on_readable)

    def hurry(self) -> None:
        """Read at once whatever comes: the process has ended."""
        self._is_hurried = True
        if self._gathering:
            self._gathering.cancel()
            self._gathered()

    def finish(self) -> None:
        """Take what lies in the pipe and close it, though somebody may still hold its other end."""
        taken = 0
        while self._fd >= 0 and taken < MAX_LAST_BYTES:
            length = self._read()
            if length <= 0:
                break
            taken += length
        self._close()

    def _on_readable(self) -> None:
        length = self._read()
        now = self._loop.time()
        if length == 0:
            self._close()
        elif length >= BUSY_BYTES:
            self._gather_seconds = SHORTEST_GATHER
        elif now - self._last_read < 2 * LONGEST_GATHER and not self._is_hurried:
            self._loop.remove_reader(self._fd)
            self._gather(now)
        self._last_read = now

    def _gather(self, now: float, *, is_little: bool = True) -> None:
        """Leave the pipe alone until the next tick, which is the same for all pipes: they are read in one go."""
        tick = (int(now / self._gather_seconds) + 1) * self._gather_seconds
        self._gathering = self._loop.call_at(tick, self._gathered)
        if is_little:
            self._gather_seconds = min(2 * self._gather_seconds, LONGEST_GATHER)

    def _gathered(self) -> None:
        self._gathering = None
        if self._is_held or self._fd < 0:
            return
        length = self._read()
        if length == 0:
            self._close()
        elif 0 < length < BUSY_BYTES and not self._is_hurried:
            self._last_read = self._loop.time()
            self._gather(self._last_read, is_little=length < LITTLE_BYTES)
        elif not self._is_held:  # what was read may have made it be held
            self._gather_seconds = SHORTEST_GATHER
            self._loop.add_reader(self._fd, self._on_readable)

    def _read(self) -> int:
        """Bytes read; 0 at the end, -1 if there are none now."""
        try:
            chunk = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return -1
        except OSError:
            return 0
        if chunk:
            self._pass_on(chunk)
        return len(chunk)

    def _pass_on(self, chunk: bytes) -> None:
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._partial = self._cut(self._partial + chunk)
            return
        if self._partial:
            first_end = chunk.index(b"\n") + 1
            first = self._cut(self._partial + chunk[:first_end])
            self._deliver(first + chunk[first_end:end])
        else:
            self._deliver(chunk[:end])
        self._partial = chunk[end:]

    def _cut(self, line: bytes) -> bytes:
        """Pass on as much of a line that is too long as needed; return its rest."""
        while len(line) > MAX_LINE_BYTES:
            self._deliver(line[:MAX_LINE_BYTES] + SPLIT_MARK)
            line = line[MAX_LINE_BYTES:]
        return line

    def _close(self) -> None:
        if self._fd < 0:
            return
        if self._gathering:
            self._gathering.cancel()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        if self._partial:
            self._deliver(self._partial + b"\n")
            self._partial = b""
        if not self.closed.done():
            self.closed.set_result(None)


class AttachedOutput:
    """The output of one worker process, from its start to the end of its pipes.

    `on_end` is called when everything is written.
    """

    def __init__(
        self, readers: tuple[PipeReader, PipeReader], tail: "ErrorTail", on_end: Callable[[], object]
    ) -> None:
        self._readers = readers
        self._tail = tail
        self._on_end = on_end

    @property
    def error_tail(self) -> str:
        """The last lines of the worker's standard error, for a message; "" if it wrote none."""
        return self._tail.text

    async def drained(self) -> None:
        """Wait until both pipes are at their end and everything is written.

        Call it after the process has exited: a child of it that holds a pipe is waited for DRAIN_SECONDS,
        then what it has written is taken and the pipe closed.
        """
        self.release()
        for reader in self._readers:
            reader.hurry()
        await asyncio.wait([reader.closed for reader in self._readers], timeout=DRAIN_SECONDS)
        for reader in self._readers:
            reader.finish()
        self._on_end()

    @property
    def is_closed(self) -> bool:
        """Whether both pipes are at their end."""
        return all(reader.closed.done() for reader in self._readers)

    def hold(self) -> None:
        """Stop reading both pipes."""
        for reader in self._readers:
            reader.hold()

    def release(self) -> None:
        """Read both pipes again."""
        for reader in self._readers:
            reader.release()


class ErrorTail:
    """The last TAIL_BYTES of a stream."""

    def __init__(self) -> None:
        self._bytes = b""

    def keep(self, lines: bytes) -> None:
        """Remember the end of `lines`."""
        self._bytes = (self._bytes + lines[-TAIL_BYTES:])[-TAIL_BYTES:]

    @property
    def text(self) -> str:
        """Whole lines, the last one last."""
        start = self._bytes.find(b"\n") + 1 if len(self._bytes) == TAIL_BYTES else 0
        return self._bytes[start:].decode(errors="backslashreplace")
