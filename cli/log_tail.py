"""Owns the last lines of a log file, however large. Runs in the user's shell; reads only."""

import gzip
import os
from collections import deque
from pathlib import Path

from ..supervisor.home.log_files import rotated_files
from ..supervisor.regular_file import open_regular

BLOCK_BYTES = 64 * 1024


def last_lines_with_rotated(path: Path, count: int, end_bytes: int | None = None) -> list[str]:
    """Return the last `count` lines of a file and, as far as it has not so many, of those rotated away from it.

    Raises:
        OSError: one is there and cannot be read.
    """
    lines = last_lines(path, count, end_bytes)
    for older in reversed(rotated_files(path) if len(lines) < count else []):
        missing = count - len(lines)
        if missing <= 0:
            break
        lines = (_last_packed_lines(older, missing) if older.suffix == ".gz" else last_lines(older, missing)) + lines
    return lines


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


def _last_packed_lines(path: Path, count: int) -> list[str]:
    try:
        with gzip.open(path, "rt", errors="replace", newline="\n") as file:
            return [line.removesuffix("\n") for line in deque(file, maxlen=count)]
    except (FileNotFoundError, EOFError, gzip.BadGzipFile):
        return []  # deleted, or not whole


def _read_backwards(fd: int, end: int, count: int) -> bytes:
    blocks: list[bytes] = []
    newlines = 0
    while end > 0 and newlines <= count:
        start = max(0, end - BLOCK_BYTES)
        blocks.append(os.pread(fd, end - start, start))
        newlines += blocks[-1].count(b"\n")
        end = start
    return b"".join(reversed(blocks))
