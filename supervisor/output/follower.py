"""Owns the lines that wait for one reader of `logs --follow`. Runs in the supervisor process.

A reader that does not keep up loses lines and is told so; nobody else notices.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from typing import Literal, NamedTuple

Stream = Literal["out", "err"]
STREAMS: tuple[Stream, Stream] = ("out", "err")
MAX_BUFFERED_BYTES = 1 << 20


OtherStream = Literal["access", "event"]


class Chunk(NamedTuple):
    """Whole lines that came together.

    Attributes:
        stream: of a worker, its access log, or "event": the supervisor's log.
        worker, pid: who wrote them; None and 0: no worker did.
        time: when they came, in seconds since the epoch; 0: the lines say it themselves.
    """

    stream: Stream | OtherStream
    lines: bytes
    worker: int | None = None
    pid: int = 0
    time: float = 0.0


class Subscription:
    """A bounded queue of whole lines.

    Args:
        stream: which output is wanted.
        others: what else is wanted.
    """

    def __init__(self, stream: Literal["out", "err", "all", "none"], others: Collection[OtherStream] = ()) -> None:
        self._stream = stream
        self._wanted = {*(STREAMS if stream == "all" else (stream,)), *others}
        self._chunks: deque[Chunk] = deque()
        self._buffered_bytes = 0
        self._dropped_lines = 0
        self._available = asyncio.Event()

    def offer(self, chunk: Chunk) -> None:
        """Queue whole lines, or count them as dropped when there is no room."""
        if chunk.stream not in self._wanted:
            return
        self._available.set()
        if self._buffered_bytes + len(chunk.lines) > MAX_BUFFERED_BYTES:
            self._dropped_lines += chunk.lines.count(b"\n")
            return
        self._mark_dropped()
        self._chunks.append(chunk)
        self._buffered_bytes += len(chunk.lines)

    async def take(self) -> Chunk:
        """The next chunk of whole lines; waits for one."""
        while not self._chunks:
            self._available.clear()
            if self._dropped_lines:
                self._mark_dropped()
            else:
                await self._available.wait()
        chunk = self._chunks.popleft()
        self._buffered_bytes -= len(chunk.lines)
        return chunk

    def _mark_dropped(self) -> None:
        if not self._dropped_lines:
            return
        dropped, self._dropped_lines = self._dropped_lines, 0
        mark = b"[fastlb] %d lines are not shown: they came faster than they were read\n" % dropped
        self._chunks.append(Chunk("err" if self._stream == "err" else "out", mark))
        self._buffered_bytes += len(mark)
