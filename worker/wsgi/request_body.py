"""Owns the body of one request: collected by the event loop, in memory up to a bound and on disk above it.

Runs in a worker process: append() in the event loop's thread; open(), and what it returns, belongs to the app's
thread. The whole body is there before the app is called, so reading it never waits for the client.

tempfile.SpooledTemporaryFile does nearly the same, at 3 us more for a small body (a tenth of the whole request),
gives the app a wrapper in Python where it gets the file itself here, and would be written by the event loop.
"""

from collections.abc import Callable
from io import BytesIO
from typing import BinaryIO

from .body_spool import BodySpool, BodyWriter

MEMORY_BYTES = 64 * 1024


class RequestBody:
    """Bytes of a body as they arrive. `size` is their number so far.

    Args:
        writer: writes what is too much for memory.
        on_change: called in the event loop's thread when `is_behind` is over, and when the disk failed.
    """

    __slots__ = ("_chunks", "_on_change", "_spool", "_writer", "size")

    def __init__(self, writer: BodyWriter, on_change: Callable[[], object]) -> None:
        self.size = 0
        self._chunks: list[bytes] = []
        self._spool: BodySpool | None = None
        self._writer = writer
        self._on_change = on_change

    @property
    def is_behind(self) -> bool:
        """Whether nothing more should be appended until `on_change` is called: the disk is slower than the client."""
        return self._spool is not None and self._spool.is_behind

    @property
    def error(self) -> OSError | None:
        """Why the disk takes no more; None: it does."""
        return self._spool.error if self._spool is not None else None

    def append(self, data: bytes) -> None:
        """Add `data`. Raises BodyNotStored when the disk takes no more."""
        self.size += len(data)
        if self._spool is not None:
            self._spool.put(data)
            return
        self._chunks.append(data)
        if self.size > MEMORY_BYTES:
            self._spool = BodySpool(self._writer, self._on_change)
            self._spool.put(b"".join(self._chunks))
            self._chunks.clear()

    def source(self) -> "BinaryIO | BodySpool":
        """Return a body in memory as a binary file at its start; one on disk as what will open() it. Closed once."""
        return self._spool if self._spool is not None else BytesIO(b"".join(self._chunks))

    def discard(self) -> None:
        """Give up a body that no app will read."""
        self._chunks.clear()
        if self._spool is not None:
            self._spool.close()
