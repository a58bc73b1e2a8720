# Owns what happens to a worker's slot by command and by death (diagram: slots.pxd); what happens to it when its channel
# breaks stands where that is noticed (handover.pxd, node/read.pxd). Runs in the dispatcher process. Every transition is
# idempotent, and none loses a connection of the worker.

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastlb.lb.atomics cimport store_i64, store_u32, store_u64
from fastlb.lb.command cimport (
    DRAIN_TELL_NEVER, DRAIN_TELL_NOW, EVENT_DRAINED, EVENT_WORKER_DIED, NODE_HISTORY_MID_LINE, Command,
    NodeWorkerFields, WorkerFields,
)
from fastlb.lb.connection cimport MAX_CREDIT, position_of
from fastlb.lb.descriptors cimport descriptor_close, invariant
from fastlb.lb.epoll cimport WATCHED_PIDFD, WATCHED_WAKEUP, watch_begin, watch_end, watched_data
from fastlb.lb.events cimport drop_slot_reports
from fastlb.lb.handover cimport dispatch_held
from fastlb.lb.node.channel cimport NodeChannel
from fastlb.lb.node.look cimport node_begin_counting
from fastlb.lb.node.read cimport node_close_reading
from fastlb.lb.node.takeback cimport node_stop_taking_back, node_take_back_unread
from fastlb.lb.node.write cimport node_count, node_disconnect, node_note_disconnected, node_poll
from fastlb.lb.page cimport (
    SLOT_ADDED, SLOT_ADMITTED, SLOT_DEAD, SLOT_DRAINING, SLOT_FREE, WORKER_PAGE_MAGIC, DispatcherSlotRow, WorkerPage,
    page_map,
)
from fastlb.lb.posix cimport EINVAL, ENOMEM, EPOLLET, EPOLLIN, SHUT_RD, SHUT_WR, munmap, shutdown
from fastlb.lb.slots cimport WorkerSlot, slot_refresh
from fastlb.lb.state cimport Dispatcher, bitmap_clear, candidates_refresh, slot_enter, slot_mark_changed, start_emptying
from fastlb.lb.takeback cimport room_of_all, take_back_all

# The order of the descriptors of ADD_WORKER and ADD_NODE_WORKER
cdef enum:
    WORKER_CHANNEL_FD = 0
    WORKER_DUPLICATE_FD = 1
    WORKER_PIDFD = 2
    WORKER_PAGE_FD = 3
    WORKER_WAKEUP_FD = 4
    WORKER_FDS = 5
    NODE_DESCRIPTORS_FD = 1  # in place of the duplicate; channel and pidfd stand where they do above
    NODE_WORKER_FDS = 3
    NODE_DUPLICATE_FD = 3    # of the worker's end; may be missing
    # A connection's number = epoch << NODE_NUMBER_SHIFT | n, so that an answer to a predecessor means nothing
    NODE_NUMBER_SHIFT = 32


cdef inline int pidfd_watch(Dispatcher *d, uint32_t index) noexcept nogil:
    return watch_begin(d.epoll_fd, d.slots[index].pidfd, EPOLLIN, watched_data(WATCHED_PIDFD, index))


cdef inline int wakeup_watch(Dispatcher *d, uint32_t index) noexcept nogil:
    # Edge-triggered, and never read: a wake-up costs no system call more, and a worker that makes its eventfd a
    # blocking one makes itself wait, and no other.
    return watch_begin(
        d.epoll_fd, d.slots[index].wakeup_fd, EPOLLIN | EPOLLET, watched_data(WATCHED_WAKEUP, index)
    )


cdef inline int worker_watch(Dispatcher *d, uint32_t index) noexcept nogil:
    """Watch the death and the wake-ups of a worker with a channel of ours; 0 or -errno (then neither is watched)."""
    cdef int result = pidfd_watch(d, index)
    if result < 0:
        return result
    result = wakeup_watch(d, index)
    if result < 0:
        watch_end(d.epoll_fd, d.slots[index].pidfd)
    return result


cdef inline void slot_fill(
    Dispatcher *d, WorkerSlot *slot, uint64_t incarnation, const WorkerFields *wanted, const int *fds
) noexcept nogil:
    """Fill a free slot with what the supervisor says of a worker; for one of Node's, node_fill says the rest."""
    memset(slot, 0, sizeof(slot[0]))
    slot.incarnation = incarnation
    slot.credit = min(max(wanted.credit, 1), MAX_CREDIT)
    slot.capacity = wanted.capacity
    slot.max_connections = wanted.max_connections
    slot.hash_key = wanted.hash_key
    slot.serves = ~<uint64_t>0
    slot.channel_fd = fds[WORKER_CHANNEL_FD]
    slot.duplicate_fd = fds[WORKER_DUPLICATE_FD]
    slot.pidfd = fds[WORKER_PIDFD]
    slot.wakeup_fd = -1
    slot.sent_position = slot.settled_position = position_of(d.epoch, 0)


cdef inline int worker_add(Dispatcher *d, const Command *command, int *fds) noexcept nogil:
    """Take over a worker's five descriptors, which the caller has checked; 0 or -errno (then the caller owns them)."""
    cdef WorkerSlot *slot = &d.slots[command.slot]
    cdef void *page = NULL
    cdef int result
    result = page_map(fds[WORKER_PAGE_FD], sizeof(WorkerPage), &page)
    if result < 0:
        return result
    slot_fill(d, slot, command.incarnation, &command.fields.worker, fds)
    slot.page = <WorkerPage *>page
    slot.wakeup_fd = fds[WORKER_WAKEUP_FD]
    result = worker_watch(d, command.slot) if slot.page.magic == WORKER_PAGE_MAGIC else -EINVAL
    if result < 0:
        munmap(page, sizeof(WorkerPage))
        memset(slot, 0, sizeof(slot[0]))
        return result
    descriptor_close(&fds[WORKER_PAGE_FD])
    # A worker has nothing to say on this channel: its sends fail from now on, and no descriptor can pile up here.
    shutdown(slot.channel_fd, SHUT_RD)
    d.slots_end = max(d.slots_end, command.slot + 1)
    slot_enter(d, slot, SLOT_ADDED)
    slot_refresh(slot, d.now_ns)
    # A predecessor may have left connections in the channel. What we have no room for, the worker takes.
    take_back_all(d, slot)
    return 0


cdef inline void node_fill(
    Dispatcher *d, WorkerSlot *slot, const NodeWorkerFields *wanted, const int *fds
) noexcept nogil:
    """Fill a slot with what only Node workers have; predecessors of ours may have spoken to the worker."""
    cdef NodeChannel *node = slot.node
    slot.page = &node.page
    slot.duplicate_fd = fds[NODE_DUPLICATE_FD]
    slot.serves = wanted.listeners
    node.descriptors_fd = fds[NODE_DESCRIPTORS_FD]
    node.last_number = d.epoch << NODE_NUMBER_SHIFT
    node.stale_answers = wanted.unanswered
    node.dropping = wanted.history & NODE_HISTORY_MID_LINE != 0
    node.answered_at_ns = d.now_ns
    node_count(slot)


cdef inline void node_begin_history(Dispatcher *d, const Command *command) noexcept nogil:
    """Go on, in our page, with what a predecessor left: for our successor."""
    cdef DispatcherSlotRow *row = &d.page.slots[command.slot]
    store_u64(&row.answers_read, 0)
    store_u64(&row.handles_sent, command.fields.node_worker.unanswered)
    store_u64(&row.history, command.fields.node_worker.history)
    store_u64(&row.refused, 0)
    store_u64(&row.messages_dropped, 0)
    store_i64(&row.heard_at_ns, d.now_ns)
    store_u64(&row.incarnation, command.incarnation)


cdef inline int node_add(Dispatcher *d, const Command *command, int *fds) noexcept nogil:
    """Take over a Node worker's descriptors, checked by the caller; 0 or -errno (then the caller owns them)."""
    cdef WorkerSlot *slot = &d.slots[command.slot]
    cdef const NodeWorkerFields *wanted = &command.fields.node_worker
    cdef NodeChannel *node = <NodeChannel *>calloc(1, sizeof(NodeChannel))
    cdef int result
    if node == NULL:
        return -ENOMEM
    slot_fill(d, slot, command.incarnation, &wanted.worker, fds)
    slot.node = node
    node_fill(d, slot, wanted, fds)
    node_begin_history(d, command)
    result = pidfd_watch(d, command.slot)
    if result == 0:
        result = node_poll(d, command.slot)
        if result < 0:
            watch_end(d.epoll_fd, slot.pidfd)
    if result < 0:
        free(node)
        memset(slot, 0, sizeof(slot[0]))
        return result
    d.node_workers += 1
    d.slots_end = max(d.slots_end, command.slot + 1)
    slot_enter(d, slot, SLOT_ADDED)
    return 0


cdef inline void worker_admit(Dispatcher *d, WorkerSlot *slot, uint32_t baseline) noexcept nogil:
    """Bring a worker into the policy. `baseline`: how many of a Node worker's descriptors are no connections."""
    if slot.node != NULL:
        node_begin_counting(slot, baseline)
    slot_enter(d, slot, SLOT_ADMITTED)


cdef inline void leave_to_others(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Give what a worker that was just taken out of the policy has not taken to others, if any are admitted.

    A Node worker goes on reading, so its connections go to others at once, as far as they have room: the next command
    may take these workers out of the policy as well.
    """
    if d.admitted == 0:
        return
    if slot.node == NULL:
        take_back_all(d, slot)
        return
    candidates_refresh(d)
    node_take_back_unread(d, slot, room_of_all(d))
    dispatch_held(d)


cdef inline void worker_withdraw(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Take a worker out of the policy until it is admitted again; what it has not taken goes to others, if any are."""
    slot_enter(d, slot, SLOT_ADDED)
    leave_to_others(d, slot)


cdef inline void worker_serve(Dispatcher *d, WorkerSlot *slot, uint64_t listeners) noexcept nogil:
    """Give a worker connections of these listeners (a mask) from now on."""
    slot.serves = listeners
    slot_enter(d, slot, slot.state)


cdef inline void node_tell_end(Dispatcher *d, uint32_t index, uint32_t word) noexcept nogil:
    """Tell a Node worker to finish and to close its channel then, if `word` (DrainWordKind) says now."""
    if word == <uint32_t>DRAIN_TELL_NEVER:
        node_note_disconnected(d, index)
    elif word == <uint32_t>DRAIN_TELL_NOW:
        node_disconnect(d, index)


cdef inline void worker_drain(Dispatcher *d, WorkerSlot *slot, uint32_t word) noexcept nogil:
    """Take a worker out of the policy; it reads what is left, then the end of its channel.

    A Node worker is told instead, when `word` (DrainWordKind) says: one that is told later is drained once more for it.
    """
    if slot.state == SLOT_ADDED or slot.state == SLOT_ADMITTED:
        slot_enter(d, slot, SLOT_DRAINING)
        if slot.node == NULL:
            shutdown(slot.channel_fd, SHUT_WR)
        else:
            leave_to_others(d, slot)
            node_stop_taking_back(slot)
        start_emptying(d, slot, EVENT_DRAINED)
    if slot.state == SLOT_DRAINING and slot.node != NULL:
        node_tell_end(d, <uint32_t>(slot - d.slots), word)


cdef inline void worker_died(Dispatcher *d, uint32_t index) noexcept nogil:
    """Note that a worker's pidfd has fired: what the worker has not taken goes to others."""
    cdef WorkerSlot *slot = &d.slots[index]
    if slot.state == SLOT_FREE or slot.died:
        return
    watch_end(d.epoll_fd, slot.pidfd)  # a pidfd stays readable for ever
    slot.died = True
    if slot.node != NULL:
        node_stop_taking_back(slot)
    slot_enter(d, slot, SLOT_DEAD)
    start_emptying(d, slot, EVENT_WORKER_DIED)


cdef inline void worker_forget(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Free a worker's slot as soon as its channel has been read empty."""
    d.removing += not slot.removing
    slot.removing = True
    slot_enter(d, slot, SLOT_DEAD)
    start_emptying(d, slot, 0)


cdef inline void node_release(Dispatcher *d, uint32_t index) noexcept nogil:
    """Close what we own of the conversation with a Node worker.

    Connections are pending only when this process ends: otherwise they were held for others before.
    """
    cdef NodeChannel *node = d.slots[index].node
    node_close_reading(d, index)
    for i in range(node.pending_count):
        descriptor_close(&node.pending[i].fd)
    for i in range(node.outbox_lines):
        descriptor_close(&node.outbox[i].fd)
    descriptor_close(&node.descriptors_fd)
    free(node.part)
    free(node)
    d.slots[index].node = NULL
    d.node_workers -= 1


cdef inline void slot_release(Dispatcher *d, uint32_t index) noexcept nogil:
    """Close what we own of a worker; its slot is free then."""
    cdef WorkerSlot *slot = &d.slots[index]
    invariant(slot.stage.count == 0)
    store_u32(&slot.page.starved, 0)
    if not slot.died:
        watch_end(d.epoll_fd, slot.pidfd)
    drop_slot_reports(d, slot)
    bitmap_clear(d.outstanding, index)
    if slot.node != NULL:
        node_release(d, index)
    else:
        watch_end(d.epoll_fd, slot.wakeup_fd)
        munmap(slot.page, sizeof(WorkerPage))
    descriptor_close(&slot.channel_fd)
    descriptor_close(&slot.duplicate_fd)
    descriptor_close(&slot.pidfd)
    descriptor_close(&slot.wakeup_fd)
    memset(slot, 0, sizeof(slot[0]))
    slot_mark_changed(d, slot)


cdef inline void release_removed(Dispatcher *d) noexcept nogil:
    """Free the slots whose removal waited for their channel to be empty."""
    for index in range(d.slots_end):
        if d.slots[index].removing and not d.slots[index].emptying_channel:
            slot_release(d, index)
            d.removing -= 1
