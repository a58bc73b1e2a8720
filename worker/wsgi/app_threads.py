"""Owns the threads of a WSGI worker that run the app, and the way back from them to the event loop.

Runs in a worker process: submit() in any thread, post() in the threads that are owned. Jobs start in
the order in which they came. Never looks at what a job is, never waits in the event loop's thread.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic_ns
from typing import Protocol, TypeVar

T = TypeVar("T")


class Job(Protocol):
    """What a thread runs. `run` reports its own errors: an exception that leaves it ends the thread."""

    def run(self) -> None:
        """Do the work, in an app thread."""


class AppThreads:
    """A fixed number of threads behind one FIFO queue.

    A plain SimpleQueue and threads of our own make no future per job. Results come back through post():
    however many are posted before the loop turns, it is woken once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int, name: str = "app") -> None:
        """Prepare `count` threads (>= 1) that report to `loop`; `name` begins their names."""
        self._name = name
        self._loop = loop
        self._count = count
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._results: deque[tuple[Callable[[object], None], object]] = deque()
        self._told = False
        self._started_ns = [0] * count

    def start(self) -> None:
        """Start the threads: daemons, since a request that never ends must not prevent the worker's exit."""
        for index in range(self._count):
            threading.Thread(target=self._work, args=(index,), name=f"{self._name}-{index}", daemon=True).start()

    def stop(self) -> None:
        """Let every thread end after its job; jobs that wait are run first."""
        for _ in range(self._count):
            self._jobs.put(None)

    def submit(self, job: Job) -> None:
        """Run `job` in the next free thread. Any thread."""
        self._jobs.put(job)

    def post(self, callback: Callable[[T], None], argument: T) -> None:
        """Call `callback(argument)` in the event loop's thread, in the order of the posts. Any thread."""
        self._results.append((callback, argument))  # type: ignore[arg-type]  # one T a pair
        if not self._told:
            self._told = True
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                return  # the loop is closed: the worker has given up waiting and exits

    def oldest_started_ns(self) -> int:
        """Return when the oldest job that still runs began (CLOCK_MONOTONIC), 0 when none runs."""
        return min((started for started in self._started_ns if started), default=0)

    def _deliver(self) -> None:
        # Cleared first: a post that finds it set is in the deque already, and this turn takes it.
        self._told = False
        results = self._results
        while results:
            callback, argument = results.popleft()
            callback(argument)

    def _work(self, index: int) -> None:
        started_ns, next_job = self._started_ns, self._jobs.get
        while (job := next_job()) is not None:
            started_ns[index] = monotonic_ns()
            job.run()
            started_ns[index] = 0
            del job  # else an idle thread keeps the last request alive
