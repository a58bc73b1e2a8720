"""Owns what the app has produced of one streamed response and the client has not taken yet.

Runs in a worker process: put() in an app thread, take() and abandon() in the event loop's thread, under one
lock that neither holds while waiting for a client. In memory up to MEMORY_BYTES, then in a file without a
name up to DISK_BYTES; only above that does a slow reader hold a thread
(docs/decisions/wsgi-response-buffering.md).
"""

import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from typing import IO

MEMORY_BYTES = 1024 * 1024
DISK_BYTES = 1024 * 1024 * 1024
SLICE_BYTES = 256 * 1024
# How long a thread waits for a reader that merely has not been served by the loop yet, before it uses the
# disk.
GRACE = 0.02


class ClientGone(ConnectionAbortedError):
    """The client has left: nobody will read what the app produces."""


class Outbox:
    """FIFO of bytes between one app thread and the event loop."""

    __slots__ = (
        "_chunks",
        "_disk_end",
        "_disk_start",
        "_file",
        "_gone",
        "_held_bytes",
        "_lock",
        "_room",
        "_tell",
        "_told",
    )

    def __init__(self, tell: Callable[[], None]) -> None:
        """Start empty; the file is made when it is needed.

        `tell()` is called in the app thread when there is something to take that the loop does not know.
        It must not wait.
        """
        self._tell = tell
        self._lock = threading.Lock()
        self._room: threading.Condition | None = None
        self._chunks: deque[bytes] = deque()
        self._held_bytes = 0
        self._file: IO[bytes] | None = None
        self._disk_start = 0
        self._disk_end = 0
        self._told = False
        self._gone = False

    def put(self, data: bytes) -> None:
        """Add `data`. App thread; waits only when DISK_BYTES are full (and GRACE before the disk is used).

        Raises:
            ClientGone: the client has left.
            OSError: the disk takes no more.
        """
        with self._lock:
            if self._gone:
                raise ClientGone("the client has closed the connection")
            if self._fits(len(data)):
                self._hold(data)
            else:
                self._put_much(data)

    def take(self) -> bytes:
        """Return the next bytes to send, b"" when there is nothing now. Event loop's thread."""
        with self._lock:
            self._told = False
            data = self._take_memory() if self._chunks else self._take_disk()
            if self._room is not None and data:
                self._room.notify()
        return data

    def close(self) -> None:
        """All is sent, or the client has left: drop everything, make put() raise. Event loop's thread."""
        with self._lock:
            self._gone = True
            self._tell = _nobody  # who is told refers to us
            self._chunks.clear()
            if self._file is not None:
                self._file.close()
            if self._room is not None:
                self._room.notify()

    def _fits(self, size: int) -> bool:
        return not self._disk_end and self._held_bytes + size <= MEMORY_BYTES

    def _hold(self, data: bytes) -> None:
        self._chunks.append(data)
        self._held_bytes += len(data)
        self._tell_once()

    def _tell_once(self) -> None:
        if not self._told:
            self._told = True
            self._tell()

    def _put_much(self, data: bytes) -> None:
        """Store `data` that does not fit into memory as a whole, slice by slice."""
        room = self._room = self._room or threading.Condition(self._lock)
        view = memoryview(data)
        for start in range(0, len(data), SLICE_BYTES):
            self._put_slice(room, bytes(view[start : start + SLICE_BYTES]))

    def _put_slice(self, room: threading.Condition, data: bytes) -> None:
        if self._disk_end:
            room.wait_for(lambda: self._gone or self._disk_end - self._disk_start < DISK_BYTES)
        else:
            room.wait_for(lambda: self._gone or self._fits(len(data)), GRACE)
        if self._gone:
            raise ClientGone("the client has closed the connection")
        if self._fits(len(data)):
            self._hold(data)
        else:
            self._spool(data)

    def _spool(self, data: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - close()
        left = memoryview(data)
        while left:
            written = os.pwrite(self._file.fileno(), left, self._disk_end)
            self._disk_end += written
            left = left[written:]
        self._tell_once()

    def _take_memory(self) -> bytes:
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._held_bytes = 0
        return data

    def _take_disk(self) -> bytes:
        if not self._disk_end or self._file is None or self._gone:
            return b""
        data = os.pread(
            self._file.fileno(), min(SLICE_BYTES, self._disk_end - self._disk_start), self._disk_start
        )
        self._disk_start += len(data)
        if self._disk_start == self._disk_end:
            # All is read: give the blocks back and go on in memory.
            os.ftruncate(self._file.fileno(), 0)
            self._disk_start = self._disk_end = 0
        return data


def _nobody() -> None:
    """What is told when nobody waits for the response any more."""
