"""Owns the shared status pages: creation, the worker's writing end, and read-only views for the supervisor and tests.

Runs in dispatcher, supervisor and workers. Never waits, never trusts a worker's numbers. Layout: page.pxd.
"""

from enum import IntEnum

from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastlb.lb.atomics cimport load_i64, load_u32, load_u64, store_i64, store_u64
from fastlb.lb.connection cimport position_epoch, position_sent
from fastlb.lb.errors cimport check
from fastlb.lb.posix cimport (
    EINVAL, F_ADD_SEALS, F_GET_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, MAP_ANONYMOUS, MAP_FAILED, MAP_FIXED,
    MAP_PRIVATE, MAP_SHARED, MFD_ALLOW_SEALING, MFD_CLOEXEC, PROT_READ, PROT_WRITE, close, errno, fcntl, fstat,
    ftruncate, memfd_create, mmap, monotonic_ns, munmap, stat,
)

PAGE_SLOTS = MAX_SLOTS
PAGE_LISTENERS = MAX_LISTENERS
PAGE_LATENCY_BUCKETS = LATENCY_BUCKETS


class SlotState(IntEnum):
    """What a worker is to its dispatcher, the `state` of its slot: SlotStateKind of page.pxd."""

    FREE = SLOT_FREE
    ADDED = SLOT_ADDED
    ADMITTED = SLOT_ADMITTED
    DRAINING = SLOT_DRAINING
    DEAD = SLOT_DEAD


if sizeof(WorkerPage) != WORKER_PAGE_BYTES:
    raise ImportError(f"worker page has {sizeof(WorkerPage)} bytes, expected {WORKER_PAGE_BYTES}")


cdef int page_create(const char *name, size_t size) noexcept nogil:
    """Return a sealed memfd of `size` zero bytes, owned by the caller, or -errno."""
    cdef int error
    cdef int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)
    if fd < 0:
        return -errno
    if ftruncate(fd, <int64_t>size) < 0 or fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0:
        error = errno
        close(fd)
        return -error
    return fd


cdef int page_map(int fd, size_t size, void **address) noexcept nogil:
    """Map a borrowed page descriptor for reading and writing; -EINVAL when its size or seals are wrong."""
    cdef stat status
    cdef int seals = fcntl(fd, F_GET_SEALS)
    if seals < 0 or not (seals & F_SEAL_SHRINK) or not (seals & F_SEAL_SEAL):
        return -EINVAL
    if fstat(fd, &status) < 0 or status.st_size != <int64_t>size:
        return -EINVAL
    address[0] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
    if address[0] == MAP_FAILED:
        address[0] = NULL
        return -errno
    return 0


def split_position(uint64_t position):
    """Return the epoch of a position and how many connections were sent to the worker in it (connection.pxd)."""
    return position_epoch(position), position_sent(position)


def create_worker_page():
    """Create the status page of one worker incarnation; return its memfd, which the caller owns."""
    cdef int fd = check(page_create(b"fastlb-worker", sizeof(WorkerPage)), "create worker page")
    cdef void *address = NULL
    try:
        check(page_map(fd, sizeof(WorkerPage), &address), "map worker page")
    except OSError:
        close(fd)
        raise
    (<WorkerPage *>address).magic = WORKER_PAGE_MAGIC
    (<WorkerPage *>address).heartbeat_ns = monotonic_ns()
    munmap(address, sizeof(WorkerPage))
    return fd


def create_dispatcher_page():
    """Create the dispatcher's own page; return its memfd, which the caller owns."""
    cdef int fd = check(page_create(b"fastlb-dispatcher", sizeof(DispatcherPage)), "create dispatcher page")
    cdef void *address = NULL
    try:
        check(page_map(fd, sizeof(DispatcherPage), &address), "map dispatcher page")
    except OSError:
        close(fd)
        raise
    (<DispatcherPage *>address).magic = DISPATCHER_PAGE_MAGIC
    munmap(address, sizeof(DispatcherPage))
    return fd


cdef class WorkerStatus:
    """A worker's writing end of its status page.

    Args: `page_fd` and `wakeup_fd` are borrowed: the page is mapped at once, the eventfd must stay open.
    Every method is called with the GIL, and runs without giving it away: a field has a single writer at a time.
    """

    def __cinit__(self, int page_fd, int wakeup_fd):
        cdef void *address = NULL
        check(page_map(page_fd, sizeof(WorkerPage), &address), "map worker page")
        self.page = <WorkerPage *>address
        self.wakeup_fd = wakeup_fd

    def __dealloc__(self):
        if self.page != NULL:
            munmap(self.page, sizeof(WorkerPage))

    def detach(self):
        """Write into memory of this process only from now on: a forked child must not count for its parent.

        The page stays where it is mapped, because everything that counts has its address. Raises OSError.
        """
        cdef void *address = mmap(
            self.page, sizeof(WorkerPage), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0
        )
        self.wakeup_fd = -1
        check(-errno if address == MAP_FAILED else 0, "detach the worker page")

    def record_taken(self, uint64_t position, uint32_t count):
        """Count `count` connections, taken in the message that ends at `position`, as taken and busy."""
        self.take(position, count)
        self.wake()

    cpdef void record_closed(self) noexcept:
        """Count one taken connection as closed: call at the close of its socket."""
        store_u64(&self.page.closed, self.page.closed + 1)
        self.wake_unless_held()

    cpdef void record_busy(self, int64_t change) noexcept:
        """Add `change` to the connections that occupy capacity; never goes below 0."""
        cdef int64_t busy = <int64_t>self.page.busy + change
        store_u64(&self.page.busy, <uint64_t>busy if busy > 0 else 0)
        if change < 0:
            self.wake_unless_held()
            if self.on_less_busy is not None:
                self.on_less_busy()

    cpdef void record_request_begun(self) noexcept:
        """Count a request at its begin."""
        store_u64(&self.page.requests, self.page.requests + 1)

    cpdef void record_request_done(self, int64_t latency_ns, bint failed) noexcept:
        """Put a finished request into the latency histogram; `failed`: it ended in an exception of the app."""
        cdef uint64_t taken_us = <uint64_t>latency_ns // 1000 if latency_ns > 0 else 0
        cdef uint64_t microseconds = taken_us
        cdef int bucket = 0
        while microseconds and bucket < LATENCY_BUCKETS - 1:
            microseconds >>= 1
            bucket += 1
        store_u64(&self.page.latency_us[bucket], self.page.latency_us[bucket] + 1)
        store_u64(&self.page.latency_sum_us, self.page.latency_sum_us + taken_us)
        if failed:
            store_u64(&self.page.errors, self.page.errors + 1)

    cpdef void record_response(self, int status) noexcept:
        """Count a response with this status; 0, and what has no three digits: there was none."""
        cdef uint8_t *place
        if status < FIRST_STATUS or status > LAST_STATUS:
            return
        place = &self.page.response_places[status - FIRST_STATUS]
        if place[0] == 0 and self.status_count < STATUSES:
            self.status_count += 1
            place[0] = self.status_count
        if place[0]:
            store_u64(&self.page.responses[place[0] - 1], self.page.responses[place[0] - 1] + 1)

    def record_error(self):
        """Count a request that failed in the app, where its failure is not known at its end."""
        store_u64(&self.page.errors, self.page.errors + 1)

    cpdef void record_lost(self, uint64_t count) noexcept:
        """Count connections that recvmsg lost because the descriptor table was full (MSG_CTRUNC)."""
        store_u64(&self.page.lost, self.page.lost + count)

    def record_heartbeat(self, int64_t now_ns, int64_t lag_ns, int64_t oldest_request_ns):
        """Give proof of life of the event loop; `oldest_request_ns` 0 when no request runs."""
        store_i64(&self.page.loop_lag_ns, lag_ns)
        store_i64(&self.page.oldest_request_ns, oldest_request_ns)
        store_i64(&self.page.heartbeat_ns, now_ns)

    cpdef void set_pressure(self, bint pressed) noexcept:
        """Say that descriptors are short (no credit, take back) or that they are not any more."""
        store_u64(&self.page.pressure, pressed)
        self.wake_unless_held()

    cpdef void want_per_message(self, uint64_t most) noexcept:
        """Say how many connections a message may bring at most, from the next one sent on; 0: as many as there are."""
        store_u64(&self.page.per_message, most)

    cpdef void tell_turn(self, uint64_t usual_ns) noexcept:
        """Say how long a connection that is taken usually holds up the worker, in ns: who is sent more waits for it."""
        store_u64(&self.page.turn_ns, usual_ns)

    @property
    def open(self):
        """How many connections were taken and are not closed yet."""
        return self.page.taken - self.page.closed

    @property
    def busy(self):
        """How many connections occupy capacity now."""
        return self.page.busy


cdef class WorkerPageView:
    """A reader's view of a worker's page: the supervisor's and the tests'. `page_fd` is borrowed."""

    cdef WorkerPage *page

    def __cinit__(self, int page_fd):
        cdef void *address = NULL
        check(page_map(page_fd, sizeof(WorkerPage), &address), "map worker page")
        self.page = <WorkerPage *>address

    def __dealloc__(self):
        if self.page != NULL:
            munmap(self.page, sizeof(WorkerPage))

    def read(self):
        """Return the counters as a dict: claims of the worker, each clamped to 0 <= n < 2**63."""
        cdef uint64_t taken = load_u64(&self.page.taken)
        cdef uint64_t closed = load_u64(&self.page.closed)
        return {
            "position": load_u64(&self.page.position),
            "taken": _claim(taken),
            "closed": _claim(closed),
            "open": _claim(taken - closed) if taken >= closed else 0,
            "busy": _claim(load_u64(&self.page.busy)),
            "pressure": load_u64(&self.page.pressure) != 0,
            "per_message": _claim(load_u64(&self.page.per_message)),
            "turn_ns": _claim(load_u64(&self.page.turn_ns)),
            "requests": _claim(load_u64(&self.page.requests)),
            "errors": _claim(load_u64(&self.page.errors)),
            "lost": _claim(load_u64(&self.page.lost)),
            "latency_sum_us": _claim(load_u64(&self.page.latency_sum_us)),
            "heartbeat_ns": load_i64(&self.page.heartbeat_ns),
            "loop_lag_ns": load_i64(&self.page.loop_lag_ns),
            "oldest_request_ns": load_i64(&self.page.oldest_request_ns),
            "starved": load_u32(&self.page.starved) != 0,
        }

    def latency_us(self):
        """Return the latency histogram: LATENCY_BUCKETS counts, bucket i below 2**i microseconds."""
        return [_claim(load_u64(&self.page.latency_us[i])) for i in range(LATENCY_BUCKETS)]

    def responses(self):
        """Return how many responses there were of each status, without those of which there was none."""
        cdef int at
        cdef uint8_t place
        found = {}
        for at in range(LAST_STATUS - FIRST_STATUS + 1):
            place = self.page.response_places[at]
            if 0 < place <= STATUSES:
                found[at + FIRST_STATUS] = _claim(load_u64(&self.page.responses[place - 1]))
        return found


cdef uint64_t _claim(uint64_t value) noexcept:
    return value if value < <uint64_t>1 << 63 else (<uint64_t>1 << 63) - 1


cdef uint64_t _owed(uint64_t sent, uint64_t answered) noexcept:
    return sent - answered if sent > answered else 0


cdef class DispatcherPageView:
    """The supervisor's view of the dispatcher's page. `page_fd` is borrowed."""

    cdef DispatcherPage *page

    def __cinit__(self, int page_fd):
        cdef void *address = NULL
        check(page_map(page_fd, sizeof(DispatcherPage), &address), "map dispatcher page")
        self.page = <DispatcherPage *>address

    def __dealloc__(self):
        if self.page != NULL:
            munmap(self.page, sizeof(DispatcherPage))

    def read(self):
        """Return the totals as a dict."""
        return {
            "epoch": load_u64(&self.page.epoch),
            "heartbeat_ns": load_i64(&self.page.heartbeat_ns),
            "wakeups": load_u64(&self.page.wakeups),
            "accepted": load_u64(&self.page.accepted),
            "dispatched": load_u64(&self.page.dispatched),
            "redispatched": load_u64(&self.page.redispatched),
            "unsticky": load_u64(&self.page.unsticky),
            "held": load_u64(&self.page.held),
            "starved": load_u64(&self.page.starved) != 0,
            "send_failures": load_u64(&self.page.send_failures),
            "dropped": load_u64(&self.page.dropped),
            "open_fds": load_u64(&self.page.open_fds),
            "malformed": load_u64(&self.page.malformed),
            "openings": load_u64(&self.page.openings),
            "proxy_untrusted": load_u64(&self.page.proxy_untrusted),
            "proxy_malformed": load_u64(&self.page.proxy_malformed),
            "proxy_late": load_u64(&self.page.proxy_late),
        }

    def read_slot(self, int slot):
        """Return one slot's counters as a dict; raises IndexError outside 0..PAGE_SLOTS-1."""
        if not 0 <= slot < MAX_SLOTS:
            raise IndexError(slot)
        cdef DispatcherSlotRow *row = &self.page.slots[slot]
        return {
            "incarnation": load_u64(&row.incarnation),
            "sent": load_u64(&row.sent),
            "taken_back": load_u64(&row.taken_back),
            "untaken": load_u64(&row.untaken),
            "open": load_u64(&row.open),
            "state": load_u64(&row.state),
            "unanswered": _owed(load_u64(&row.handles_sent), load_u64(&row.answers_read)),
            "history": load_u64(&row.history),
            "heard_at_ns": load_i64(&row.heard_at_ns),
            "refused": load_u64(&row.refused),
            "messages_dropped": load_u64(&row.messages_dropped),
        }

    def read_listener(self, int listener_id):
        """Return one listener's counters as a dict; raises IndexError outside 0..PAGE_LISTENERS-1."""
        if not 0 <= listener_id < MAX_LISTENERS:
            raise IndexError(listener_id)
        cdef DispatcherListenerRow *row = &self.page.listeners[listener_id]
        return {
            "accepted": load_u64(&row.accepted),
            "errors": load_u64(&row.errors),
            "pauses": load_u64(&row.pauses),
            "last_error": load_i64(&row.last_error),
        }
