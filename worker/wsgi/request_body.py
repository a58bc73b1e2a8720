"""Owns the body of one request: collected by the event loop, in memory up to a bound and on disk above it.

Runs in a worker process: append() in the event loop's thread; what open() returns belongs to the app's
thread. The whole body is there before the app is called, so reading it never waits for the client.

tempfile.SpooledTemporaryFile does nearly the same, at 3 us more for a small body (a tenth of the whole request),
and gives the app a wrapper in Python where it gets the file itself here.
"""

import tempfile
from io import BytesIO
from typing import BinaryIO

MEMORY_BYTES = 64 * 1024


class RequestBody:
    """Bytes of a body as they arrive. `size` is their number so far."""

    __slots__ = ("_chunks", "_file", "size")

    def __init__(self) -> None:
        """Start empty, in memory."""
        self.size = 0
        self._chunks: list[bytes] = []
        self._file: BinaryIO | None = None

    def append(self, data: bytes) -> None:
        """Add `data`. Raises OSError when the disk takes no more."""
        self.size += len(data)
        if self._file is not None:
            self._file.write(data)
            return
        self._chunks.append(data)
        if self.size > MEMORY_BYTES:
            self._move_to_disk()

    def open(self) -> BinaryIO:
        """Return the body as a binary file at its start: `wsgi.input`. The caller closes it."""
        if self._file is None:
            return BytesIO(b"".join(self._chunks))
        self._file.seek(0)
        return self._file

    def discard(self) -> None:
        """Give up a body that no app will read."""
        self._chunks.clear()
        if self._file is not None:
            self._file.close()

    def _move_to_disk(self) -> None:
        # Without a name in the file system: nothing is left behind, whatever kills the worker.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - by discard
        self._file.writelines(self._chunks)
        self._chunks.clear()
