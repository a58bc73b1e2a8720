"""Owns reading lines from either end of an open file, in bounded memory. Runs in the user's shell; reads only.

A line may be of any length: from the end, a line is told by its beginning; from the start, it comes in pieces.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

BLOCK_BYTES = 64 * 1024
# What of a line is looked at, and the largest piece of one that is in memory.
PIECE_BYTES = 1 << 20


class Piece(NamedTuple):
    """A line, or as much of one as PIECE_BYTES hold.

    Attributes:
        start: its place in the file, in bytes.
        data: without the newline.
        is_first: whether a line begins with it.
        is_last: whether a line ends with it.
    """

    start: int
    data: bytes
    is_first: bool = True
    is_last: bool = True


def lines_backward(fd: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines in the first `end` bytes of a file, the last one first: where it starts, and its beginning.

    Of a line at most PIECE_BYTES are given. A last line without a newline counts. Ends early where the file was cut.

    Raises:
        OSError: it cannot be read.
    """
    if end <= 0:
        return
    if os.pread(fd, 1, end - 1) == b"\n":
        end -= 1
    beginning = b""  # of what was read of the line whose start is not found yet
    at = end
    while at > 0:
        start = max(0, at - BLOCK_BYTES)
        block = os.pread(fd, at - start, start)
        if len(block) < at - start:
            return
        stop = len(block)
        while (newline := block.rfind(b"\n", 0, stop)) >= 0:
            yield start + newline + 1, (block[newline + 1 : stop] + beginning)[:PIECE_BYTES]
            beginning, stop = b"", newline
        beginning = (block[:stop] + beginning)[:PIECE_BYTES]
        at = start
    yield 0, beginning


def pieces_forward(file: BinaryIO, start: int, end: int | None) -> Iterator[Piece]:
    """Yield the lines of a file from `start`, where one begins, to `end`, or to where the file ends now.

    Raises:
        OSError: it cannot be read, or is damaged.
    """
    file.seek(start)
    is_first = True
    while end is None or start < end:
        data = file.readline(PIECE_BYTES if end is None else min(PIECE_BYTES, end - start))
        if not data:
            return
        is_last = data.endswith(b"\n") or start + len(data) == end
        yield Piece(start, data[:-1] if data.endswith(b"\n") else data, is_first, is_last)
        start += len(data)
        is_first = is_last
