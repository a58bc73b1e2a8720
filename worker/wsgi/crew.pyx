"""Owns the threads of a WSGI worker: which of them takes and reads connections, and when another one is woken.

Runs in WSGI workers. One thread leads: it waits for connections, takes one, reads it, calls the app when its request is
whole, sends what the app has said and goes on, without a word to any other thread. The rest follow: they sleep until
they may lead. A leader gives its lead away when apps are slow (before it calls one), and has it taken away when an app
turns out to be (by a timer of the event loop). What is slow about a client is the event loop's: see
WsgiConnection.go_to_loop(). All that is shared changes under the GIL, in functions that run no Python code meanwhile.
"""

import logging
import threading
from collections import OrderedDict, deque

from libc.errno cimport EAGAIN, EINTR, errno
from libc.math cimport ceil
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from posix.unistd cimport close, read, write

from fastlb.lb.epoll cimport watch_begin, watch_change, watch_end
from fastlb.lb.forks cimport forks
from fastlb.lb.posix cimport (
    CLOCK_MONOTONIC, EPOLL_CLOEXEC, EPOLLIN, MSG_DONTWAIT, TFD_CLOEXEC, TFD_NONBLOCK, epoll_create1, epoll_wait,
    itimerspec, memmem, monotonic_ns, recv, timerfd_create, timerfd_settime,
)
from fastlb.worker.wsgi.connection cimport WsgiConnection
from fastlb.worker.wsgi.exchange cimport WsgiExchange, WsgiService

from fastlb.worker.transport.unwatched import tell_of_unwatched

cdef extern from "<sys/epoll.h>" nogil:
    uint32_t EPOLLONESHOT

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int count, int flags)
    int EFD_CLOEXEC, EFD_NONBLOCK

cdef enum:
    BUFFER_BYTES = 16384     # of a request that is read here; longer ones are the event loop's
    TAKES_BEFORE_EVENTS = 16  # and requests that the event loop has read
    SLOW_NS = 1_000_000      # a call of the app that takes longer is slow
    LEAD_NS = 2_000_000      # after so long in the app a leader leads no more
    LONG_NS = 250_000_000    # after so long in the app nobody but the event loop sees that a client leaves
    MS_PER_SECOND = 1000

# A new connection without a whole request counts as busy for so long, unless another one was as slow a moment ago.
cdef double GRACE = 0.002
cdef double IMPATIENCE = 1.0
cdef double NANOSECONDS = 1e-9
# What a call counts for in the share of those that are slow, and above which share the next one is expected to be: on a
# machine that has more to do than cores one in hundreds is, of an app of microseconds.
cdef double WEIGHT = 1 / 32.0
cdef double OFTEN = 1 / 8.0
cdef char *HEAD_END = b"\r\n\r\n"
cdef object logger = logging.getLogger("fastlb.worker")


cdef inline double seconds_now() noexcept:
    return monotonic_ns() * NANOSECONDS


cdef class Crew:
    """The threads that run the app.

    Args:
        service: what the worker's connections share.
        count: how many threads, at least 1.
    """

    def __cinit__(self, WsgiService service not None, int count):
        self.service = service
        self.count = count
        self.forks = forks()
        self.leader = self.channel_fd = self.timer_fd = self.epoll_fd = self.wake_fd = -1
        self.jobs, self.arrived = deque(), deque()
        self.fresh, self.kept = OrderedDict(), OrderedDict()
        self.lead = threading.Lock()
        self.running = [None] * count
        self.started_ns = <int64_t *>calloc(count, sizeof(int64_t))
        self.buffer = <char *>malloc(BUFFER_BYTES)
        if self.started_ns == NULL or self.buffer == NULL:
            raise MemoryError()
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        self.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if count > 1:
            self.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
        if self.epoll_fd < 0 or self.wake_fd < 0 or (count > 1 and self.timer_fd < 0):
            raise OSError(errno, "the worker's threads cannot wait")
        self.watch_own(self.wake_fd, EPOLLIN)

    def __dealloc__(self):
        for fd in (self.epoll_fd, self.wake_fd, self.timer_fd):
            if fd >= 0:
                close(fd)
        free(self.started_ns)
        free(self.buffer)

    # what the server calls, in the event loop's thread

    def start(self):
        """Start the threads: daemons, since a request that never ends must not prevent the worker's exit."""
        if self.timer_fd >= 0:
            self.service.loop.add_reader(self.timer_fd, self.on_timer)
        for index in range(self.count):
            threading.Thread(target=self.work, args=(index,), name=f"app-{index}", daemon=True).start()

    def stop(self):
        """Let every thread end after its request; what waits is run first."""
        self.stopped = True
        self.takes = False
        if self.timer_fd >= 0:
            self.service.loop.remove_reader(self.timer_fd)
        self.wake()

    def take_from(self, inbox, create):
        """Take connections from `inbox`, and serve what `create(HandedSocket)` makes of them: plain ones.

        Raises OSError.
        """
        self.inbox = inbox
        self.create = create
        self.channel_fd = inbox.fileno()
        self.watch_own(self.channel_fd, EPOLLIN | EPOLLONESHOT)
        self.channel_armed = True
        self.takes = True
        inbox.on_room = self.on_room

    def stop_taking(self):
        """Leave the channel to the event loop: its end is in sight, or nothing more is wanted."""
        self.takes = False

    def on_room(self):
        """Look at the channel again: fewer are busy, or there are descriptors. Any thread."""
        if self.waiting and self.takes and not self.channel_armed:
            self.wake()

    def submit(self, WsgiExchange exchange not None):
        """Run a request that the event loop has read."""
        self.jobs.append(exchange)
        if self.waiting:
            self.wake()

    def oldest_started_ns(self):
        """Return when the oldest request that still runs began (CLOCK_MONOTONIC), 0 when none runs."""
        cdef int64_t oldest = 0
        for index in range(self.count):
            if self.started_ns[index] and (oldest == 0 or self.started_ns[index] < oldest):
                oldest = self.started_ns[index]
        return oldest

    def leave_long(self):
        """Leave connections to the event loop whose requests take long: it sees when their clients leave."""
        cdef WsgiConnection connection
        cdef int64_t since_ns = monotonic_ns() - LONG_NS
        for index in range(self.count):
            # A thread that is done with the app has set it to 0, and has the connection for itself.
            if 0 < self.started_ns[index] < since_ns:
                connection = (<WsgiExchange>self.running[index]).connection
                if connection is not None and connection.direct:
                    connection.go_to_loop()
        # Nobody has looked at them while all threads are in the app, not even at those that are silent no more.
        self.leave_silent(seconds_now(), LONG_NS * NANOSECONDS)

    def has_unbegun(self):
        """Say whether requests or connections wait for a thread."""
        return bool(self.jobs or self.arrived or self.is_taking)

    def on_timer(self):
        """Take the lead from a thread whose call of the app turns out to be slow (the event loop calls it)."""
        cdef uint64_t count
        read(self.timer_fd, &count, sizeof(count))
        self.timer_armed = False
        if not self.leader_runs:
            return
        if self.runs == self.seen_run:
            self.note_call(True)
            self.give_lead()
        else:
            self.arm_timer()

    # the threads

    def work(self, int index):
        """Lead and follow until stop() (the body of a thread)."""
        cdef WsgiExchange exchange
        while True:
            if self.leader != index:
                self.lead.acquire()
                self.leader = index
            try:
                exchange = self.next_work()
            except Exception:
                logger.exception("a thread of the app could not go on")
                self.service.status.wake_held()
                continue
            if exchange is None:
                self.give_lead()
                return
            self.run(exchange, index)
            exchange = None  # else a thread that waits keeps the last request alive
            if forks() != self.forks:
                return  # a child that the app has forked, and that has come back from it

    cdef int run(self, WsgiExchange exchange, int index) except -1:
        """Call the app, and go on with what it has said."""
        cdef int64_t began_ns = monotonic_ns()
        cdef WsgiConnection connection = exchange.connection
        cdef bint gave_lead = self.count > 1 and self.slow_share > OFTEN
        self.running[index] = exchange
        self.started_ns[index] = began_ns
        if self.count > 1:
            self.runs += 1
            if gave_lead:
                self.give_lead()
            else:
                self.leader_runs = True
                if not self.timer_armed:
                    self.arm_timer()
        try:
            exchange.run_app()
        except BaseException:
            logger.exception("a request could not be ended")  # not one of the app's own
        self.started_ns[index] = 0
        self.running[index] = None
        if self.count > 1:
            if self.leader == index:
                self.leader_runs = False
            if gave_lead or self.leader == index:  # else the timer has taken note
                self.note_call(monotonic_ns() - began_ns > SLOW_NS)
        if forks() == self.forks:
            try:
                connection.answer(exchange, self.leader == index)
            except BaseException:
                logger.exception("a response could not be sent")
                connection.close_directly()
        return 0

    cdef int give_lead(self) except -1:
        """Let another thread lead: it is woken."""
        self.leader = -1
        self.leader_runs = False
        self.lead.release()
        return 0

    cdef void note_call(self, bint is_slow) noexcept:
        self.slow_share += ((1.0 if is_slow else 0.0) - self.slow_share) * WEIGHT

    cdef int arm_timer(self) except -1:
        cdef itimerspec after
        after.it_interval.tv_sec = after.it_interval.tv_nsec = after.it_value.tv_sec = 0
        after.it_value.tv_nsec = LEAD_NS
        self.timer_armed = True
        self.seen_run = self.runs
        timerfd_settime(self.timer_fd, 0, &after, NULL)
        return 0

    # what the leader does

    cdef WsgiExchange next_work(self):
        """Return the next request that is whole; None: the thread is to end."""
        cdef WsgiExchange exchange
        while True:
            exchange = self.next_of_events()
            if exchange is None:
                exchange = self.next_taken()
            if exchange is None and self.jobs and self.jobs_left > 0:
                self.jobs_left -= 1
                exchange = self.jobs.popleft()
            self.service.status.wake_held()  # nothing was taken since the last answer
            if exchange is not None or (self.stopped and not self.jobs):
                return exchange
            self.wait()

    cdef WsgiExchange next_of_events(self):
        """Read the connections of the last events, up to the first whole request."""
        cdef WsgiExchange exchange
        cdef uint64_t count
        cdef int fd
        while self.event_at < self.event_count:
            fd = <int>self.events[self.event_at].data.u64
            self.event_at += 1
            if fd == self.wake_fd:
                self.told = False
                read(fd, &count, sizeof(count))
            elif fd == self.channel_fd:
                self.channel_armed = False
            else:
                connection = self.kept.pop(fd, None) or self.fresh.pop(fd, None)
                exchange = self.look_at(connection) if connection is not None else None
                if exchange is not None:
                    return exchange
        return None

    cdef WsgiExchange next_taken(self):
        """Take connections and read them, up to the first whole request."""
        cdef WsgiExchange exchange
        while self.takes_left > 0:
            if not self.arrived:
                if not self.takes or self.channel_armed:
                    return None
                self.is_taking = True
                try:
                    for handed in self.inbox.receive(1):
                        self.begin(handed)
                finally:
                    self.is_taking = False
                if not self.arrived:
                    return None
            self.takes_left -= 1
            exchange = self.look_at(self.arrived.popleft())
            if exchange is not None:
                return exchange
        return None

    cdef int begin(self, handed) except -1:
        try:
            self.arrived.append(self.create(handed))
        except Exception:
            logger.exception("a connection could not be begun")
            handed.abandon()
        return 0

    cdef WsgiExchange look_at(self, WsgiConnection connection):
        """Read a connection; return its request if that is whole. What is wrong with one connection ends it alone."""
        if not connection.direct:
            return None  # shut down meanwhile
        try:
            return self.read_request(connection)
        except Exception:
            logger.exception("a connection could not be read")
            connection.close_directly()
            return None

    cdef WsgiExchange read_request(self, WsgiConnection connection):
        cdef ssize_t length = recv(connection.fd, self.buffer, BUFFER_BYTES, MSG_DONTWAIT)
        if length < 0 and (errno == EAGAIN or errno == EINTR):
            if connection.answered:
                self.keep(connection)
            else:
                self.await_first(connection)
            return None
        if length <= 0:
            connection.close_directly()
            return None
        if length == BUFFER_BYTES or memmem(self.buffer, length, HEAD_END, 4) == NULL:
            connection.unfed = self.buffer[:length]
        elif connection.read_directly(self.buffer, length):
            return connection.exchange
        connection.go_to_loop()
        return None

    cdef int await_first(self, WsgiConnection connection) except -1:
        """Wait for a silent new connection for a moment; when clients are being slow, it does not count as busy."""
        cdef double now = seconds_now()
        if now < self.service.impatient_until:
            connection.end_grace()
        connection.deadline = now + GRACE
        if self.watch(connection):
            self.fresh[connection.fd] = connection
        return 0

    def keep(self, WsgiConnection connection not None):
        """Wait for another request, unless the server has begun to stop meanwhile."""
        if connection.is_shut:
            connection.close_directly()
            return
        connection.deadline = seconds_now() + self.service.keep_alive_timeout
        if not self.watch(connection):
            return
        self.kept[connection.fd] = connection
        if self.waiting and self.waits_for_ever:
            self.wake()  # another thread, which knows of no deadline

    cdef bint watch(self, WsgiConnection connection) except -1:
        """Watch a connection; say whether that is done. One that cannot be watched is closed: nobody would read it."""
        # With several threads another one may wait while this connection is answered: it is not to be told of it then.
        cdef uint32_t wanted = EPOLLIN if self.count == 1 else EPOLLIN | EPOLLONESHOT
        cdef int failed = 0
        if not connection.is_watched:
            failed = watch_begin(self.epoll_fd, connection.fd, wanted, connection.fd)
        elif self.count > 1:
            failed = watch_change(self.epoll_fd, connection.fd, wanted, connection.fd)
        connection.is_watched = not failed
        if failed:
            connection.close_directly()
            tell_of_unwatched(-failed)
        return not failed

    cdef int watch_own(self, int fd, uint32_t wanted) except -1:
        """Watch a descriptor that is no connection, for good. Raises OSError."""
        cdef int failed = watch_begin(self.epoll_fd, fd, wanted, fd)
        if failed:
            raise OSError(-failed, "the worker's threads cannot wait")
        return 0

    cdef int wait(self) except -1:
        """Wait until something is to be done; only look if something may be."""
        cdef int timeout, found
        if self.takes and not self.channel_armed:
            self.arm_channel()
        timeout = self.timeout_ms()
        self.waits_for_ever = timeout < 0
        # No other thread runs between these lines and the wait.
        self.waiting = True
        if self.jobs or self.stopped or self.arrived:
            timeout = 0
        with nogil:
            found = epoll_wait(self.epoll_fd, self.events, EVENTS, timeout)
        self.waiting = False
        self.event_at, self.event_count = 0, max(found, 0)
        self.takes_left = self.jobs_left = TAKES_BEFORE_EVENTS
        if self.fresh or self.kept:
            self.end_overdue()
        return 0

    cdef int timeout_ms(self) except -2:
        cdef double soonest = 0
        if self.takes_left == 0:
            return 0
        for waiting in (self.fresh, self.kept):
            if waiting:
                connection = <WsgiConnection>next(iter(waiting.values()))
                if soonest == 0 or (<WsgiConnection>connection).deadline < soonest:
                    soonest = (<WsgiConnection>connection).deadline
        if soonest == 0:
            return -1
        return <int>max(0.0, ceil((soonest - seconds_now()) * MS_PER_SECOND))

    cdef int arm_channel(self) except -1:
        """Watch the channel until the next message, if one may be taken; its end is the event loop's to see."""
        cdef uint32_t wanted = EPOLLIN | EPOLLONESHOT
        if self.inbox.full or self.inbox.pressed or self.inbox.ended:
            return 0
        watch_change(self.epoll_fd, self.channel_fd, wanted, self.channel_fd)  # takes no memory
        self.channel_armed = True
        return 0

    cdef int leave_silent(self, double now, double lateness) except -1:
        """Leave new connections that stay silent to the event loop, or all that are over their time by `lateness`."""
        cdef WsgiConnection connection
        while self.fresh:
            connection = next(iter(self.fresh.values()))
            if connection.deadline + lateness > now:
                break
            del self.fresh[connection.fd]
            if not lateness and connection.handed.has_unread():  # it is we who are late
                connection.deadline = now + GRACE
                self.fresh[connection.fd] = connection
                continue
            self.service.impatient_until = now + IMPATIENCE
            connection.end_grace()
            connection.go_to_loop()
        return 0

    cdef int end_overdue(self) except -1:
        """Give up new connections that stay silent, and close kept ones on which nothing more came in time."""
        cdef WsgiConnection connection
        cdef double now = seconds_now()
        self.leave_silent(now, 0)
        while self.kept:
            connection = next(iter(self.kept.values()))
            if connection.deadline > now:
                break
            if connection.handed.has_unread():
                connection.deadline = now + IMPATIENCE  # it is we who are late
                self.kept.move_to_end(connection.fd)
                continue
            del self.kept[connection.fd]
            connection.close_directly()
        return 0

    # what connections call

    def forget(self, WsgiConnection connection not None):
        """Watch a connection no more; to be called before its close, as a child of the app may hold it open."""
        if connection.is_watched:
            connection.is_watched = False
            watch_end(self.epoll_fd, connection.fd)

    def let_go(self, WsgiConnection connection not None):
        """Give up a connection that waits for its client; say whether it did. Any thread."""
        for waiting in (self.kept, self.fresh):
            if waiting.get(connection.fd) is connection:
                del waiting[connection.fd]
                return True
        return False

    cdef int wake(self) except -1:
        cdef uint64_t one = 1
        if not self.told:
            self.told = True
            write(self.wake_fd, &one, sizeof(one))
        return 0
