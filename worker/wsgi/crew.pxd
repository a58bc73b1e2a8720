# Owns the declaration of the threads of a WSGI worker. Runs in WSGI workers.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastlb.lb.posix cimport epoll_event
from fastlb.worker.wsgi.connection cimport WsgiConnection
from fastlb.worker.wsgi.exchange cimport WsgiExchange, WsgiService

cdef enum:
    EVENTS = 64  # that are looked at once


cdef class Crew:
    cdef readonly int count       # of threads
    cdef WsgiService service
    cdef uint64_t forks           # the worker is this process while there were no more than these
    cdef bint stopped
    cdef object jobs              # deque of exchanges whose requests the event loop has read
    cdef int64_t *started_ns      # of the request that each thread runs; 0: none
    cdef list running             # the exchange of each thread
    # who leads
    cdef object lead              # a lock: whoever holds it leads
    cdef int leader               # index of the thread; -1: none
    cdef bint leader_runs         # the app
    cdef bint waiting             # the leader, for events
    cdef bint waits_for_ever      # ... as no connection was kept
    cdef bint told                # ... that there is something else to do
    cdef double slow_share        # of the last calls; if it is high, the lead is given away before the app is called
    cdef uint64_t runs            # of the app, by leaders
    cdef uint64_t seen_run        # when the timer was armed
    cdef bint timer_armed
    # what is watched
    cdef int epoll_fd
    cdef int wake_fd
    cdef int timer_fd             # -1: there is only one thread
    cdef epoll_event[EVENTS] events
    cdef int event_count
    cdef int event_at
    # connections
    cdef object inbox
    cdef object create            # makes a WsgiConnection of a HandedSocket
    cdef int channel_fd
    cdef bint takes               # connections from the channel
    cdef bint channel_armed
    cdef int takes_left           # before events are looked at again
    cdef int jobs_left            # as well
    cdef bint is_taking           # a connection that is in no list yet
    cdef object arrived           # deque of connections that were taken and not looked at
    cdef object fresh             # by descriptor: new ones that are silent, and count as busy for a moment
    cdef object kept              # by descriptor: those that may ask again; in both the first ends first
    cdef char *buffer

    cdef WsgiExchange next_work(self)
    cdef WsgiExchange next_of_events(self)
    cdef WsgiExchange next_taken(self)
    cdef int begin(self, handed) except -1
    cdef WsgiExchange look_at(self, WsgiConnection connection)
    cdef WsgiExchange read_request(self, WsgiConnection connection)
    cdef int run(self, WsgiExchange exchange, int index) except -1
    cdef int give_lead(self) except -1
    cdef void note_call(self, bint is_slow) noexcept
    cdef int arm_timer(self) except -1
    cdef int await_first(self, WsgiConnection connection) except -1
    cdef bint watch(self, WsgiConnection connection) except -1
    cdef int watch_own(self, int fd, uint32_t wanted) except -1
    cdef int wait(self) except -1
    cdef int timeout_ms(self) except -2
    cdef int arm_channel(self) except -1
    cdef int leave_silent(self, double now, double lateness) except -1
    cdef int end_overdue(self) except -1
    cdef int wake(self) except -1
