"""Owns the files that one log consists of, oldest first: those rotated away, compressed or not, and the present one.

Runs in the user's shell; reads only. Files are renamed, compressed and deleted while they are read: what was opened
once stays open, so that nothing is read twice and nothing is missed.
"""

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ...supervisor.home.log_files import rotated_files
from ...supervisor.home.log_index import file_number
from ...supervisor.home.packed_log import HEAD, packed_note
from ...supervisor.regular_file import open_regular
from .reading import Piece, lines_backward, pieces_forward

COPY_BYTES = 1 << 18
GZIP_WINDOW = 31  # zlib's word for "with the header of gzip"
ATTEMPTS = 10
# Where to stop in a file, in bytes, by its device and inode.
Ends = dict[tuple[int, int], int]


class Part:
    """One open file of a chain.

    Args:
        fd: of the file; owned from here on.
        is_packed: whether it is compressed by gzip.
        end_bytes: where to stop; None: where it ends now.

    Attributes:
        identity: device and inode.
        number: what the index of log files calls it.
        indexed_until: up to when it does so, in microseconds since the epoch; None: it still does.
        modified_at: when it was last written, in seconds since the epoch.
    """

    def __init__(self, fd: int, *, is_packed: bool, end_bytes: int | None = None) -> None:
        status = os.fstat(fd)
        self._fd = fd
        self._is_packed = is_packed
        self.identity = (status.st_dev, status.st_ino)
        note = packed_note(os.pread(fd, HEAD.size, 0)) if is_packed else None
        self.number = note.number if note else file_number(status)
        self.indexed_until = note.packed_at if note else None
        self.modified_at = status.st_mtime
        self._end = status.st_size if end_bytes is None else min(end_bytes, status.st_size)

    def backward(self) -> Iterator[tuple[int, bytes]]:
        """Yield its lines, the last one first, as `lines_backward` does; of a damaged file what can be read."""
        if not self._is_packed:
            yield from lines_backward(self._fd, self._end)
            return
        with self._unpacked() as plain:
            yield from lines_backward(plain.fileno(), plain.tell())

    def forward(self, start: int) -> Iterator[Piece]:
        """Yield its lines from `start`, where one begins, in bytes."""
        if not self._is_packed:
            with open(self._fd, "rb", closefd=False) as plain:
                yield from pieces_forward(plain, start, self._end)
            return
        with self._unpacked() as plain:
            yield from pieces_forward(plain, start, plain.tell())

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    @contextlib.contextmanager
    def _unpacked(self) -> Iterator[BinaryIO]:
        """A file without a name, which is at its end; there is as much in it as could be read."""
        import tempfile  # few logs are compressed, and it takes a while

        with tempfile.TemporaryFile() as plain:
            with contextlib.suppress(zlib.error):
                _unpack(self._fd, plain)
            plain.flush()
            yield plain


class Chain:
    """The files of one log, opened from the newest to the oldest, as far as anybody wants to read.

    Args:
        path: of the present file.
        ends: where to stop in files that are still written, in bytes by identity; files begun later are left out.
    """

    def __init__(self, path: Path, ends: Ends | None = None) -> None:
        self.path = path
        self._ends = ends or {}
        self._parts: list[Part] = []
        self._older: list[Path] | None = None

    def modified_at(self) -> float:
        """Return when the log was last written, in seconds since the epoch; 0: it was never."""
        with contextlib.suppress(OSError):
            return self.path.stat().st_mtime
        for path in reversed(rotated_files(self.path)):
            with contextlib.suppress(OSError):
                return path.stat().st_mtime
        return 0.0

    def part(self, number: int) -> Part | None:
        """Return the newest file (0), the one before (1), ...; None: there are not so many.

        Raises:
            OSError: it is there and cannot be read.
        """
        if self._older is None:
            self._open_newest()
        while len(self._parts) <= number and self._older:
            self._add(self._older.pop())
        return self._parts[number] if number < len(self._parts) else None

    def close(self) -> None:
        """Close all files."""
        for part in self._parts:
            part.close()
        self._parts.clear()
        self._older = []

    def _open_newest(self) -> None:
        for _ in range(ATTEMPTS):  # a rotation in between leads to the old file twice, or to none
            self.close()
            self._add(self.path)
            self._older = rotated_files(self.path)
            if not self._parts or _identity(self.path) == self._parts[0].identity:
                break
        known = [at for at, part in enumerate(self._parts) if part.identity in self._ends]
        if self._ends and not known:
            self._skip_newer()

    def _skip_newer(self) -> None:
        """Leave out files that were begun after those with a known end, if one of these was rotated away meanwhile."""
        older = self._older or []
        known = [at for at, path in enumerate(older) if _identity(path) in self._ends]
        if known:
            del older[known[-1] + 1 :]
            for part in self._parts:
                part.close()
            self._parts.clear()

    def _add(self, path: Path) -> None:
        try:
            fd = open_regular(path, os.O_RDONLY)
        except FileNotFoundError:
            return
        part = Part(fd, is_packed=path.suffix == ".gz", end_bytes=self._ends.get(_identity_of(fd)))
        if any(other.identity == part.identity for other in self._parts):
            part.close()
        else:
            self._parts.append(part)


def _unpack(fd: int, target: BinaryIO) -> None:
    stream = zlib.decompressobj(GZIP_WINDOW)
    at = 0
    while packed := os.pread(fd, COPY_BYTES, at):
        at += len(packed)
        while packed:
            target.write(stream.decompress(packed, COPY_BYTES))
            packed = stream.unconsumed_tail
            if stream.eof:  # another member may follow
                packed = stream.unused_data
                stream = zlib.decompressobj(GZIP_WINDOW)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _identity_of(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
