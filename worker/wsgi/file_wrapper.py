"""Owns `wsgi.file_wrapper`, and finding out whether what an app wrapped is a real file.

Runs in the app's threads of a worker process. A real file is sent by the event loop from a descriptor of
its own, so the app's thread, and its file, are free at once. Anything else is read block by block, as PEP
3333 has it. It never touches a socket.
"""

import os
import stat
from collections.abc import Iterator
from io import BufferedRandom, BufferedReader, FileIO
from typing import Protocol

REAL_FILES = (BufferedReader, BufferedRandom, FileIO)


class Readable(Protocol):
    """What PEP 3333 asks of a file-like object."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, b"" at the end."""


class FileWrapper:
    """The iterable that apps make of a file: `environ["wsgi.file_wrapper"](file, block_size)`."""

    def __init__(self, filelike: Readable, block_size: int = 64 * 1024) -> None:
        """Wrap `filelike`; its close(), if it has one, becomes ours."""
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        """Return itself: the file has one position."""
        return self

    def __next__(self) -> bytes:
        """Return the next block."""
        data = self.filelike.read(self.block_size)
        if not data:
            raise StopIteration
        return data

    def measure(self) -> tuple[int, int, int] | None:
        """Return (borrowed descriptor, offset, end) of what is left of a regular file, else None.

        The type decides, not the presence of fileno(): a GzipFile has one too, of the compressed bytes.
        """
        file = getattr(self.filelike, "file", self.filelike)  # NamedTemporaryFile's wrapper
        if not isinstance(file, REAL_FILES) or not file.readable():
            return None
        try:
            if isinstance(file, BufferedRandom):
                file.flush()
            fd, offset = file.fileno(), file.tell()
            status = os.fstat(fd)
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return fd, offset, max(status.st_size, offset)
