"""Owns what is on disk of a request body: its file, the order of what is written, who is told of room and failure.

Runs in a worker process: put() in the event loop's thread, writing in a thread of its own, open() in the app's. The
loop never waits for the disk, which may take a tenth of a second for a page when much is dirty; what it has handed
over and is not written is bounded by whoever stops reading while `is_behind`.
"""

import asyncio
import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import IO, BinaryIO, Protocol

from .loop_calls import LoopCalls

# What of one body may wait for the disk before its client has to wait, and when it is read again.
MOST_WAITING_BYTES = 1024 * 1024
ROOM_BYTES = MOST_WAITING_BYTES // 4


def _call(callback: Callable[[], object]) -> None:
    callback()


class BodyNotStored(OSError):
    """The disk did not take a request body."""


class Job(Protocol):
    """What the thread runs. `run` reports its own errors: an exception that leaves it ends the thread."""

    def run(self) -> None:
        """Do the work, in the thread."""


class BodyWriter:
    """The thread of a worker that writes bodies to disk; started with the first one that is too large for memory."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Prepare; what is posted goes to `loop`."""
        self._calls = LoopCalls(loop)
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._started = False

    def submit(self, job: Job) -> None:
        """Run `job` in the thread. Any thread, the first time the event loop's."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._work, name="body-writer", daemon=True).start()
        self._jobs.put(job)

    def post(self, callback: Callable[[], object]) -> None:
        """Call back in the event loop's thread. Any thread."""
        self._calls.post(_call, callback)

    def stop(self) -> None:
        """Let the thread end when nothing waits."""
        if self._started:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            del job  # else an idle thread keeps the last body alive


class BodySpool:
    """One body on disk.

    Args:
        writer: its thread writes.
        on_change: called in the event loop's thread when `is_behind` is over, and when the disk failed.

    Attributes:
        error: why the disk takes no more; None: it does.
    """

    __slots__ = (
        "_chunks", "_closed", "_file", "_on_change", "_put_bytes", "_room_wanted", "_submitted", "_writer", "_writing",
        "_written_bytes", "error",
    )  # fmt: skip

    def __init__(self, writer: BodyWriter, on_change: Callable[[], object]) -> None:
        self.error: OSError | None = None
        self._writer = writer
        self._on_change = on_change
        self._chunks: deque[bytes] = deque()
        self._put_bytes = self._written_bytes = 0  # changed by one thread each
        self._room_wanted = self._submitted = self._closed = False
        self._writing = threading.Lock()  # held by whoever writes, and for that time only
        self._file: IO[bytes] | None = None

    def put(self, data: bytes) -> None:
        """Have `data` written behind what was put before. Event loop. Raises BodyNotStored."""
        if self.error is not None:
            raise BodyNotStored(str(self.error))
        self._put_bytes += len(data)
        self._chunks.append(data)
        self._submit()

    @property
    def is_behind(self) -> bool:
        """Whether so much waits for the disk that no more should be put; `on_change` tells when that is over."""
        if self.error is not None or self._waiting_bytes < MOST_WAITING_BYTES:
            return False
        self._room_wanted = True
        # The writer may have made the room before it could see that it is wanted.
        return self._waiting_bytes > ROOM_BYTES

    def run(self) -> None:
        """Write what waits; close the file of a body that nobody wants. In the writer's thread."""
        self._submitted = False  # first: what is put from now on is submitted again
        with self._writing:
            self._write()
            if self._closed and self._file is not None:
                self._file.close()
                self._file = None

    def open(self) -> BinaryIO:
        """Return the whole body as a file at its start, which is the caller's then. App thread.

        Raises:
            BodyNotStored: the disk did not take it.
        """
        with self._writing:
            self._write()
            file, self._file = self._file, None
        if self.error is not None or file is None:
            if file is not None:
                file.close()
            raise BodyNotStored(str(self.error))
        file.seek(0)
        return file  # type: ignore[return-value]

    def close(self) -> None:
        """Give up a body that was not opened. Any thread; never waits for the disk."""
        self._closed = True
        self._chunks.clear()
        self._submit()

    @property
    def _waiting_bytes(self) -> int:
        return self._put_bytes - self._written_bytes

    def _submit(self) -> None:
        if not self._submitted:
            self._submitted = True
            self._writer.submit(self)

    def _write(self) -> None:
        try:
            while self._chunks:
                self._write_chunk(self._chunks.popleft())
        except IndexError:
            pass  # close() was quicker
        except OSError as error:
            self.error = error
            self._chunks.clear()
            self._writer.post(self._on_change)

    def _write_chunk(self, data: bytes) -> None:
        if self._file is None:
            # Without a name in the file system: nothing is left behind, whatever kills the worker.
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - by run() or whoever opens it
        left = memoryview(data)
        while left:
            left = left[os.write(self._file.fileno(), left) :]
        self._written_bytes += len(data)
        if self._room_wanted and self._waiting_bytes <= ROOM_BYTES:
            self._room_wanted = False
            self._writer.post(self._on_change)
