# Owns the layout of the shared pages, and the worker's writing of its own. Runs in dispatcher, supervisor and workers.
# What a worker writes is a claim: readers clamp it and never use it as an index.
#
# Worker page: one 4 KiB memfd per worker incarnation, sealed against SHRINK, GROW and SEAL, because a worker that could
# truncate it would kill every reader by SIGBUS (memfd_create(2)).

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastlb.lb.atomics cimport full_fence, load_u32, store_u64
from fastlb.lb.posix cimport write

cdef enum:
    WORKER_PAGE_BYTES = 4096
    WORKER_PAGE_MAGIC = 0x31574C46      # "FLW1"
    DISPATCHER_PAGE_MAGIC = 0x31444C46  # "FLD1"
    LATENCY_BUCKETS = 32                # bucket i: requests that took less than 2**i microseconds
    FIRST_STATUS = 100                  # of responses: what three digits can say, RFC 9110 15
    LAST_STATUS = 999
    STATUSES = 64                       # that are told apart: what comes when all places are taken is not counted
    MAX_SLOTS = 1024
    MAX_LISTENERS = 64

cdef struct WorkerPage:
    # line 0, creator: written once, before any other process maps the page
    uint32_t magic
    uint8_t reserved0[60]
    # line 1, worker: moves with connections
    uint64_t position   # of the last message that was taken from the channel
    uint64_t taken      # connections taken by this incarnation, all epochs
    uint64_t closed     # of these, how many sockets are closed
    uint64_t busy       # connections that occupy capacity now
    uint64_t pressure   # 1: short of descriptors, has stopped reading its channel
    uint64_t per_message  # most connections that it wants in a message; 0: as many as there are
    uint64_t turn_ns    # how long what it takes usually holds it up (turns.pxd)
    uint8_t reserved1[8]
    # line 2, worker: moves with requests and time
    uint64_t requests           # requests begun
    uint64_t errors             # requests that ended in an exception of the app
    uint64_t lost               # connections that a recvmsg into a full descriptor table lost
    int64_t heartbeat_ns        # last turn of the event loop's heartbeat
    int64_t loop_lag_ns         # how late that turn was
    int64_t oldest_request_ns   # when the oldest request that still runs began; 0: none runs
    uint64_t latency_sum_us     # of all requests that latency_us counts
    uint8_t reserved2[8]
    # line 3, dispatcher: 1 = "I sleep until a worker moves": write your wake-up eventfd after a move
    uint32_t starved
    uint8_t reserved3[60]
    # lines 4-7, worker: request latencies
    uint64_t latency_us[LATENCY_BUCKETS]
    # lines 8-30, worker: responses by their status. Of each status one more than its place, once there was one of it
    uint8_t response_places[LAST_STATUS - FIRST_STATUS + 1]
    uint8_t reserved4[60]
    uint64_t responses[STATUSES]
    uint8_t reserved5[2112]

# What a worker is to its dispatcher (diagram: slots.pxd)
cdef enum SlotStateKind:
    SLOT_FREE = 0
    SLOT_ADDED = 1     # known, and not in the policy
    SLOT_ADMITTED = 2  # in the policy: the only state that gets connections
    SLOT_DRAINING = 3  # takes what it has been sent, gets nothing more
    SLOT_DEAD = 4      # its process has ended or its channel is broken

cdef struct DispatcherListenerRow:
    uint64_t accepted
    uint64_t errors         # accept4 failures that made the listener pause
    uint64_t pauses
    int64_t last_error      # errno
    uint64_t reserved[4]

cdef struct DispatcherSlotRow:
    uint64_t incarnation
    uint64_t sent           # connections handed over in this epoch, taken-back ones included
    uint64_t taken_back     # of these, how many were taken back
    uint64_t untaken        # as of the last wake-up
    uint64_t open           # as of the last wake-up
    uint64_t state          # SlotStateKind
    # of a Node worker only; what a successor must know is stored before the act that it speaks of
    uint64_t handles_sent   # messages that are answered by NODE_HANDLE_ACK or NODE_HANDLE_NACK
    uint64_t answers_read   # of these, how many were answered
    uint64_t history        # NODE_HISTORY_... of command.pxd
    int64_t heard_at_ns     # when the worker last said anything
    uint64_t refused        # connections that the worker did not accept
    uint64_t messages_dropped  # messages to the supervisor above the most that a worker may send a second
    uint64_t reserved[4]

cdef struct DispatcherPage:
    uint32_t magic
    uint32_t policy
    uint64_t epoch
    int64_t heartbeat_ns    # end of the last turn of the loop (an idle dispatcher does not turn: PING it)
    uint64_t wakeups
    uint64_t accepted
    uint64_t dispatched
    uint64_t redispatched   # handed over again, after a death, a drain or a stuck worker
    uint64_t unsticky       # ip-hash, sticky: given to another than the client's own worker
    uint64_t held           # accepted or taken back and waiting in the dispatcher, now
    uint64_t starved        # 1: sleeps because no worker may take a connection
    uint64_t send_failures
    uint64_t dropped        # connections closed unserved: held at the end, or of a listener that was removed
    uint64_t open_fds       # debug build: descriptors that the dispatcher owns
    uint64_t malformed      # messages found in a channel that were none of ours: thrown away, descriptors closed
    uint64_t openings         # accepted, and their PROXY header, or head of a request, has not come, now
    uint64_t proxy_untrusted  # closed: the address may not send a PROXY header
    uint64_t proxy_malformed  # closed: what came is none, is too long, or ended before it was whole
    uint64_t proxy_late       # closed: it was not whole in time, or others waited less long
    uint8_t reserved[48]
    DispatcherListenerRow listeners[MAX_LISTENERS]
    DispatcherSlotRow slots[MAX_SLOTS]


cdef inline void page_wake_dispatcher(WorkerPage *page, int wakeup_fd) noexcept nogil:
    """Wake the dispatcher if it is starved. A worker calls this after every counter that may let the dispatcher go on.

    Counter, fence, `starved` here; `starved`, fence, counters there (prepare_sleep): so one of the two sees the other.
    """
    cdef uint64_t one = 1
    full_fence()
    if load_u32(&page.starved):
        # The eventfd is this worker's alone, and never read. So a write fails (EAGAIN) only in a worker that has
        # brought the count to its highest itself, and waits only in one that has made it blocking as well.
        write(wakeup_fd, &one, sizeof(one))


cdef int page_create(const char *name, size_t size) noexcept nogil
cdef int page_map(int fd, size_t size, void **address) noexcept nogil


cdef class WorkerStatus:
    # The worker's own page: the only writer of lines 1, 2 and 4-30. One per process, under the GIL.
    cdef WorkerPage *page
    cdef int wakeup_fd
    cdef uint8_t status_count  # how many places of `responses` are taken
    cdef bint holds_wake       # moves are told together with the next one: hold_wake()
    cdef public object on_less_busy  # called when something is not busy any more; may be None. It must only schedule

    cdef inline void take(self, uint64_t position, uint32_t count) noexcept nogil:
        # Counts first, position last: a reader that sees the new position (so less untaken) also sees the
        # connections as taken, and never both as neither.
        store_u64(&self.page.busy, self.page.busy + count)
        store_u64(&self.page.taken, self.page.taken + count)
        store_u64(&self.page.position, position)

    cdef inline void wake(self) noexcept nogil:
        # After take(), once for all messages of a turn: every wake-up costs both sides a system call.
        self.holds_wake = False
        page_wake_dispatcher(self.page, self.wakeup_fd)

    cdef inline void hold_wake(self) noexcept nogil:
        # The caller moves something else at once, and calls wake() or wake_held() before all that takes time.
        self.holds_wake = True

    cdef inline void wake_held(self) noexcept nogil:
        if self.holds_wake:
            self.wake()

    cdef inline void wake_unless_held(self) noexcept nogil:
        if not self.holds_wake:
            page_wake_dispatcher(self.page, self.wakeup_fd)

    # cpdef: the other compiled parts of a worker count without a Python call
    cpdef void record_closed(self) noexcept
    cpdef void record_busy(self, int64_t change) noexcept
    cpdef void record_request_begun(self) noexcept
    cpdef void record_request_done(self, int64_t latency_ns, bint failed) noexcept
    cpdef void record_response(self, int status) noexcept
    cpdef void record_lost(self, uint64_t count) noexcept
    cpdef void set_pressure(self, bint pressed) noexcept
    cpdef void want_per_message(self, uint64_t most) noexcept
    cpdef void tell_turn(self, uint64_t usual_ns) noexcept
