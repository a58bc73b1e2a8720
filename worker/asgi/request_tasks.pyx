"""Owns the set of running request tasks of an ASGI worker, which counts and times what it holds.

Runs in ASGI workers, on the event loop's thread, in place of the plain set in which uvicorn keeps its tasks
(`ServerState.tasks`): one `add` and one `discard` a request, a fraction of a microsecond each. Never waits.
"""

from libc.stdint cimport int64_t

from fastlb.lb.page cimport WorkerStatus
from fastlb.lb.posix cimport monotonic_ns


cdef class RequestTasks:
    """A set of tasks: each counts on `status` as begun and busy when added, as done when discarded.

    `companions` is another container of tasks, which belong to the length and to iteration only: those of
    websockets, which are no requests that could take too long.
    """

    cdef WorkerStatus status
    cdef dict began_ns  # task -> when it was added; ordered, so the first is the oldest
    cdef object companions

    def __cinit__(self, WorkerStatus status not None, companions):
        self.status = status
        self.began_ns = {}
        self.companions = companions

    def add(self, task):
        """Count `task` as a request that begins now."""
        self.began_ns[task] = monotonic_ns()
        self.status.record_request_begun()
        self.status.record_busy(1)

    def discard(self, task):
        """Count the request of `task` as done; nothing happens when it is not in the set."""
        began_ns = self.began_ns.pop(task, None)
        if began_ns is not None:
            self.status.record_request_done(monotonic_ns() - <int64_t>began_ns, False)
            self.status.record_busy(-1)

    def oldest_began_ns(self):
        """Return when the oldest running request began (CLOCK_MONOTONIC), 0 when none runs."""
        for began_ns in self.began_ns.values():
            return began_ns
        return 0

    def __len__(self):
        return len(self.began_ns) + len(self.companions)

    def __contains__(self, task):
        return task in self.began_ns or task in self.companions

    def __iter__(self):
        return iter([*self.began_ns, *self.companions])
