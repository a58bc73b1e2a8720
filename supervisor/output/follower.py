"""Owns the lines that wait for one reader of `logs --follow`. Runs in the supervisor process.

A reader that does not keep up loses lines and is told so; nobody else notices.
"""

import asyncio
from collections import deque
from typing import Literal

Stream = Literal["out", "err"]
STREAMS: tuple[Stream, Stream] = ("out", "err")
MAX_BUFFERED_BYTES = 1 << 20


class Subscription:
    """A bounded queue of whole lines. `stream`: which output is wanted."""

    def __init__(self, stream: Literal["out", "err", "all"]) -> None:
        self._stream = stream
        self._chunks: deque[tuple[Stream, bytes]] = deque()
        self._buffered_bytes = 0
        self._dropped_lines = 0
        self._available = asyncio.Event()

    def offer(self, stream: Stream, lines: bytes) -> None:
        """Queue whole lines, or count them as dropped when there is no room."""
        if self._stream not in (stream, "all"):
            return
        self._available.set()
        if self._buffered_bytes + len(lines) > MAX_BUFFERED_BYTES:
            self._dropped_lines += lines.count(b"\n")
            return
        self._mark_dropped(stream)
        self._chunks.append((stream, lines))
        self._buffered_bytes += len(lines)

    async def take(self) -> tuple[Stream, bytes]:
        """The next chunk of whole lines; waits for one."""
        while not self._chunks:
            self._available.clear()
            if self._dropped_lines:
                self._mark_dropped("out" if self._stream == "all" else self._stream)
            else:
                await self._available.wait()
        stream, lines = self._chunks.popleft()
        self._buffered_bytes -= len(lines)
        return stream, lines

    def _mark_dropped(self, stream: Stream) -> None:
        if not self._dropped_lines:
            return
        dropped, self._dropped_lines = self._dropped_lines, 0
        mark = b"[fastlb] %d lines are not shown: they came faster than they were read\n" % dropped
        self._chunks.append((stream, mark))
        self._buffered_bytes += len(mark)
