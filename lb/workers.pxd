# Owns the transitions of a worker slot (diagram: slots.pxd): the only place beside handover.channel_broken that
# changes a state. Every transition is idempotent, and leaves the connections of the worker with somebody.

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from fastlb.lb.atomics cimport store_u32
from fastlb.lb.command cimport EVENT_DRAINED, EVENT_WORKER_DIED, Command
from fastlb.lb.connection cimport POSITION_EPOCH_SHIFT
from fastlb.lb.descriptors cimport descriptor_close, invariant
from fastlb.lb.events cimport WATCHED_PIDFD, drop_slot_reports, report_slot, watched_data
from fastlb.lb.page cimport WORKER_PAGE_MAGIC, WorkerPage, page_map
from fastlb.lb.posix cimport (
    EINVAL, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLIN, SHUT_RD, SHUT_WR, epoll_ctl, epoll_event, errno,
    munmap, shutdown,
)
from fastlb.lb.slots cimport (
    MAX_CREDIT, SLOT_ADDED, SLOT_ADMITTED, SLOT_DEAD, SLOT_DRAINING, SLOT_FREE, WorkerSlot, slot_refresh,
)
from fastlb.lb.takeback cimport take_back_all
from fastlb.lb.state cimport Dispatcher, bitmap_clear, slot_enter, slot_mark_changed, start_recovery

# The order of ADD_WORKER's descriptors
cdef enum:
    WORKER_CHANNEL_FD = 0
    WORKER_DUPLICATE_FD = 1
    WORKER_PIDFD = 2
    WORKER_PAGE_FD = 3
    WORKER_FDS = 4


cdef inline int pidfd_watch(Dispatcher *d, uint32_t index) noexcept nogil:
    cdef epoll_event event
    event.events = EPOLLIN
    event.data.u64 = watched_data(WATCHED_PIDFD, index)
    return 0 if epoll_ctl(d.epoll_fd, EPOLL_CTL_ADD, d.slots[index].pidfd, &event) == 0 else -errno


cdef inline void slot_fill(Dispatcher *d, WorkerSlot *slot, const Command *command, int *fds) noexcept nogil:
    memset(slot, 0, sizeof(slot[0]))
    slot.incarnation = command.token
    slot.credit = min(max(command.credit, 1), MAX_CREDIT)
    slot.capacity = command.capacity
    slot.max_connections = command.max_connections
    slot.hash_key = command.flags
    slot.channel_fd = fds[WORKER_CHANNEL_FD]
    slot.duplicate_fd = fds[WORKER_DUPLICATE_FD]
    slot.pidfd = fds[WORKER_PIDFD]
    slot.sent = slot.settled = d.epoch << POSITION_EPOCH_SHIFT


cdef inline int worker_add(Dispatcher *d, const Command *command, int *fds) noexcept nogil:
    """Take over a worker's four descriptors (checked by the caller); 0 or -errno (then they are still the caller's)."""
    cdef WorkerSlot *slot = &d.slots[command.slot]
    cdef void *page = NULL
    cdef int result
    result = page_map(fds[WORKER_PAGE_FD], sizeof(WorkerPage), &page)
    if result < 0:
        return result
    slot_fill(d, slot, command, fds)
    slot.page = <WorkerPage *>page
    result = pidfd_watch(d, command.slot) if slot.page.magic == WORKER_PAGE_MAGIC else -EINVAL
    if result < 0:
        munmap(page, sizeof(WorkerPage))
        memset(slot, 0, sizeof(slot[0]))
        return result
    descriptor_close(&fds[WORKER_PAGE_FD])
    # A worker has nothing to say here: from now on its sends fail, and no descriptor of its can pile up.
    shutdown(slot.channel_fd, SHUT_RD)
    d.slots_end = max(d.slots_end, command.slot + 1)
    slot_enter(d, slot, SLOT_ADDED)
    slot_refresh(slot, d.now_ns)
    # A predecessor may have left connections in the channel. What we have no room for, the worker takes.
    take_back_all(d, slot)
    return 0


cdef inline void worker_admit(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    slot_enter(d, slot, SLOT_ADMITTED)


cdef inline void worker_drain(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Out of the policy; the worker reads what is left, then the end of its channel."""
    slot_enter(d, slot, SLOT_DRAINING)
    shutdown(slot.channel_fd, SHUT_WR)
    start_recovery(d, slot, EVENT_DRAINED)


cdef inline void worker_died(Dispatcher *d, uint32_t index) noexcept nogil:
    """Its pidfd has fired: what it has not taken is everybody's again."""
    cdef WorkerSlot *slot = &d.slots[index]
    if slot.state == SLOT_FREE or slot.died:
        return
    epoll_ctl(d.epoll_fd, EPOLL_CTL_DEL, slot.pidfd, NULL)  # it stays readable for ever
    slot.died = True
    slot_enter(d, slot, SLOT_DEAD)
    start_recovery(d, slot, EVENT_WORKER_DIED)


cdef inline void worker_forget(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """REMOVE: free the slot as soon as its channel has been read empty."""
    d.removing += not slot.removing
    slot.removing = True
    slot_enter(d, slot, SLOT_DEAD)
    start_recovery(d, slot, 0)


cdef inline void slot_release(Dispatcher *d, uint32_t index) noexcept nogil:
    """Close what we own of a worker; its place is free."""
    cdef WorkerSlot *slot = &d.slots[index]
    invariant(slot.stage.count == 0)
    store_u32(&slot.page.starved, 0)
    if not slot.died:
        epoll_ctl(d.epoll_fd, EPOLL_CTL_DEL, slot.pidfd, NULL)
    drop_slot_reports(d, slot)
    bitmap_clear(d.outstanding, index)
    munmap(slot.page, sizeof(WorkerPage))
    descriptor_close(&slot.channel_fd)
    descriptor_close(&slot.duplicate_fd)
    descriptor_close(&slot.pidfd)
    memset(slot, 0, sizeof(slot[0]))
    slot_mark_changed(d, slot)


cdef inline void release_removed(Dispatcher *d) noexcept nogil:
    """Free the slots whose removal waited for their channel to be empty."""
    for index in range(d.slots_end):
        if d.slots[index].removing and not d.slots[index].recovering:
            slot_release(d, index)
            d.removing -= 1
