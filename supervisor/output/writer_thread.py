"""Owns a thread that writes what others queue, so that a disk which hangs holds up nobody but it.

Runs in the supervisor process. It must never end by itself, whatever a write raises, and never keep the process: what
it cannot write by the end is given back.
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
# What an item in the queue costs besides its bytes.
ITEM_BYTES = 128


class WriterThread(Generic[Item]):
    """One thread and its queue. Items are written one after the other, in the order in which they were put.

    Args:
        name: of the thread.
        write: is called by it for each item.
        on_failure: is called by it when that raises; nothing else happens then.
    """

    def __init__(self, name: str, write: Callable[[Item], object], on_failure: Callable[[Exception], None]) -> None:
        self._write = write
        self._on_failure = on_failure
        self._staged: list[tuple[Item, int]] = []
        self._batches: queue.SimpleQueue[list[tuple[Item, int]] | threading.Event | None] = queue.SimpleQueue()
        # Each is written by one side only, so neither needs a lock.
        self._put_bytes = 0
        self._done_bytes = 0
        self._low_bytes = -1
        self._on_low: Callable[[], object] = lambda: None
        self._unwritten: list[tuple[Item, int]] = []  # of the batch that is being written, the next one last
        self._is_given_up = False
        self._at_end: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting_bytes(self) -> int:
        """How much is not written yet: what is in the queue, and what is being written."""
        return self._put_bytes - self._done_bytes

    @property
    def done_bytes(self) -> int:
        """How much was written, ever."""
        return self._done_bytes

    def stage(self, item: Item, size_bytes: int) -> bool:
        """Queue an item, without waking the thread; return whether `commit` has to follow soon.

        Never waits; only one thread may call it, `put` and `commit` at a time.
        """
        size_bytes += ITEM_BYTES
        self._put_bytes += size_bytes
        self._staged.append((item, size_bytes))
        return len(self._staged) == 1

    def commit(self) -> None:
        """Wake the thread for what was staged: threads that wake each other for every item hinder each other."""
        if self._staged:
            batch, self._staged = self._staged, []
            self._batches.put(batch)

    def put(self, item: Item, size_bytes: int) -> None:
        """Queue an item, and let the thread write it."""
        self.stage(item, size_bytes)
        self.commit()

    def flush(self, timeout: float) -> bool:
        """Wait until what was put until now is written, for at most `timeout` seconds; return whether it may be."""
        if not self.waiting_bytes or threading.current_thread() is self._thread:
            return True
        written = threading.Event()
        self._batches.put(written)
        return written.wait(timeout)

    def call_at(self, low_bytes: int, on_low: Callable[[], object]) -> None:
        """Have `on_low` called once, by either thread, when at most `low_bytes` wait."""
        self._on_low = on_low
        self._low_bytes = low_bytes
        if self.waiting_bytes <= low_bytes:  # it may have come so far before it could know
            self._tell()

    def close(self, timeout: float, at_end: Callable[[], object]) -> list[Item]:
        """Wait until everything is written, for at most `timeout` seconds; return what is not, which never will be.

        The thread calls `at_end` as its last deed, be that after the disk has let go of it.
        """
        self.commit()
        self._at_end = at_end
        self._batches.put(None)
        self._thread.join(timeout)
        if not self._thread.is_alive():
            return []
        self._is_given_up = True
        undone = self._unwritten[::-1]
        with contextlib.suppress(queue.Empty):
            while True:
                batch = self._batches.get_nowait()
                undone += batch if isinstance(batch, list) else []
        self._batches.put(None)
        return [item for item, _ in undone]

    def _run(self) -> None:
        while batch := self._batches.get():
            if isinstance(batch, threading.Event):
                batch.set()
                continue
            batch.reverse()
            self._unwritten = batch
            while self._unwritten and not self._is_given_up:
                self._write_next()
        self._at_end()

    def _write_next(self) -> None:
        item, size_bytes = self._unwritten[-1]
        try:
            self._write(item)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next line is to be written
            self._on_failure(error)
        self._unwritten.pop()
        self._done_bytes += size_bytes
        if self._low_bytes >= 0 and self.waiting_bytes <= self._low_bytes:
            self._tell()

    def _tell(self) -> None:
        self._low_bytes = -1
        self._on_low()
