"""Owns how many connections a worker takes at a time, by how long its event loop was held when it began the last ones.

Runs in Python workers, on the event loop's thread. What is taken and not begun cannot be given to another worker any
more, so a worker in which something blocks takes one connection, begins it, and only then the next; one whose turns are
short takes many, as the message costs and not the connection. Says on the page how long a turn usually is as well: by
that the dispatcher knows a worker that is busy from one that is stuck. Costs two looks at the clock for all that is
taken in a turn. Never waits.
"""

from libc.math cimport exp2
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport strtoull

from fastlb.lb.connection cimport CONNECTIONS_PER_MESSAGE
from fastlb.lb.page cimport WorkerStatus
from fastlb.lb.posix cimport O_CLOEXEC, close, monotonic_ns, open, pread
from fastlb.lb.turns cimport turn_seen

cdef enum:
    MOST_PER_TURN = 32             # more would keep the running requests waiting
    HALF_LIFE_NS = 1_000_000_000   # after which a long turn counts half as long
    LOOK_EVERY_NS = 10_000_000     # at how long the thread waited for a CPU
    SCHEDSTAT_BYTES = 96

# "time on a CPU, time waiting for one, turns on one": nanoseconds of this thread (Linux, Documentation/scheduler)
cdef const char *SCHEDSTAT = "/proc/thread-self/schedstat"


cdef class TurnMeter:
    """Measures from `begin()` to `end()` what the connections of a turn have cost, and says how many to take next.

    Args:
        status: where the dispatcher reads how many a message may bring.
        limit: seconds that what is taken at once may hold the loop together.
    Attributes:
        most: how many connections to take in the next turn.
    """

    cdef readonly int most
    cdef WorkerStatus status
    cdef int64_t limit_ns
    cdef int64_t began_ns
    cdef int64_t longest_ns    # that one connection held the loop; decays
    cdef int64_t decayed_at_ns
    cdef int64_t usual_ns      # that one holds it
    cdef int64_t waited_ns     # for a CPU, as of the last look
    cdef int64_t looked_at_ns
    cdef int64_t waited_before_ns  # between the two looks before
    cdef uint64_t missed
    cdef int schedstat_fd

    def __cinit__(self, WorkerStatus status not None, double limit):
        self.schedstat_fd = open(SCHEDSTAT, O_CLOEXEC)
        self.status = status
        self.limit_ns = <int64_t>(limit * 1e9)
        self.most = MOST_PER_TURN
        self.waited_ns = self.look_waited_ns()

    def __dealloc__(self):
        if self.schedstat_fd >= 0:
            close(self.schedstat_fd)

    def begin(self):
        """Begin to measure: connections are about to be taken."""
        self.began_ns = monotonic_ns()
        if self.began_ns - self.looked_at_ns > LOOK_EVERY_NS:
            self.waited_before_ns = self.waited_since_look_ns()

    def end(self, int64_t taken, uint64_t missed):
        """Decide how many to take next, now that `taken` connections have been begun, or wait for their clients.

        `missed`: as ConnectionInbox has it. What was taken back shows that the loop was held by something else, by a
        request on a connection of before: for the hand-over timeout, which is not longer than the limit.
        """
        cdef int64_t now_ns = monotonic_ns()
        cdef int64_t held_ns = now_ns - self.began_ns
        cdef int64_t waited_ns = 0
        if missed != self.missed or held_ns * CONNECTIONS_PER_MESSAGE > self.limit_ns * taken:
            waited_ns = self.waited_since_look_ns()
            held_ns -= waited_ns
        held_ns //= max(taken, 1)
        if taken:
            self.usual_ns = turn_seen(self.usual_ns, held_ns, self.limit_ns)
            self.status.tell_turn(self.usual_ns)
        if missed != self.missed and waited_ns + self.waited_before_ns < self.limit_ns:
            held_ns = max(held_ns, 2 * self.limit_ns)
        self.missed = missed
        if max(held_ns, self.longest_ns) * CONNECTIONS_PER_MESSAGE > self.limit_ns or self.most < MOST_PER_TURN:
            self.remember(held_ns, now_ns)

    cdef void remember(self, int64_t held_ns, int64_t now_ns) noexcept:
        cdef double half_lives = <double>(now_ns - self.decayed_at_ns) / HALF_LIFE_NS
        self.longest_ns = max(held_ns, <int64_t>(<double>self.longest_ns * exp2(-half_lives)))
        self.decayed_at_ns = now_ns
        cdef int64_t fitting = self.limit_ns // max(self.longest_ns, 1)
        if fitting >= CONNECTIONS_PER_MESSAGE:
            self.most = MOST_PER_TURN
            self.status.want_per_message(0)
        else:
            self.most = max(<int>fitting, 1)
            self.status.want_per_message(self.most)

    cdef int64_t waited_since_look_ns(self) noexcept:
        """Return how long this thread has waited for a CPU: meanwhile it is the machine that is busy."""
        cdef int64_t before_ns = self.waited_ns
        self.waited_ns = self.look_waited_ns()
        return self.waited_ns - before_ns

    cdef int64_t look_waited_ns(self) noexcept:
        cdef char text[SCHEDSTAT_BYTES]
        cdef char *second
        cdef ssize_t length = pread(self.schedstat_fd, text, SCHEDSTAT_BYTES - 1, 0)
        self.looked_at_ns = self.began_ns
        if length <= 0:
            return 0
        text[length] = 0
        strtoull(text, &second, 10)
        return <int64_t>strtoull(second, NULL, 10)
