"""Owns the last lines of a log file, however large. Runs in the user's shell; reads only."""

import os
from pathlib import Path

from ..supervisor.regular_file import open_regular

BLOCK_BYTES = 64 * 1024


def last_lines(path: Path, count: int, end_bytes: int | None = None) -> list[str]:
    """Return the last `count` lines of the file, or of its first `end_bytes`; none if there is no such file.

    Reads backwards, so that the time depends on the lines and not on the file.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        fd = open_regular(path, os.O_RDONLY)
    except FileNotFoundError:
        return []
    try:
        size = os.fstat(fd).st_size
        tail = _read_backwards(fd, size if end_bytes is None else min(end_bytes, size), count)
    finally:
        os.close(fd)
    lines = tail.decode(errors="replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines[-count:] if count else []


def _read_backwards(fd: int, end: int, count: int) -> bytes:
    blocks: list[bytes] = []
    newlines = 0
    while end > 0 and newlines <= count:
        start = max(0, end - BLOCK_BYTES)
        blocks.append(os.pread(fd, end - start, start))
        newlines += blocks[-1].count(b"\n")
        end = start
    return b"".join(reversed(blocks))
