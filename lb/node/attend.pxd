# Owns what the dispatcher's loop does for Node workers besides handing connections over: their channels' events, what
# is due for each of them in a turn, when that is, and their end when the supervisor is gone. Runs in the dispatcher
# process. Never reads or writes a channel itself (read.pxd, write.pxd).

from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastlb.lb.command cimport DRAIN_TELL_NOW
from fastlb.lb.handover cimport has_taker, is_served
from fastlb.lb.node.channel cimport (
    NODE_ENDED, NODE_FULL, NODE_QUIET_NS, NODE_WRITING, STALE_AWAITED, STALE_PROBED, NodeChannel, stale_settled,
)
from fastlb.lb.node.look cimport LOOK_AGAIN_NS, look_at_nodes, waits_for_closed_connections
from fastlb.lb.node.read cimport node_read, resume_nodes
from fastlb.lb.node.write cimport node_flush, node_probe
from fastlb.lb.posix cimport EPOLLOUT, SIGKILL, SIGTERM, pidfd_signal
from fastlb.lb.state cimport Dispatcher, NEVER_NS, count
from fastlb.lb.workers cimport worker_drain

cdef enum:
    ORPHANED_NODE_NS = 30_000_000_000  # what Node workers have to finish in when the supervisor is gone


cdef inline void on_node_event(Dispatcher *d, uint32_t index, uint32_t events) noexcept nogil:
    """Deal with what epoll tells of a Node worker's channel: the worker says something, or there is room again."""
    if events & EPOLLOUT and d.slots[index].node.writing == NODE_FULL:
        node_flush(d, index)
    if events & ~<uint32_t>EPOLLOUT and d.slots[index].node.polled:
        node_read(d, index)


cdef inline int64_t node_due_ns(const Dispatcher *d, const NodeChannel *node) noexcept nogil:
    """Return when something is due for a Node worker that no descriptor will tell."""
    if node.stale_answers and node.reading != NODE_ENDED and node.stale != STALE_PROBED:
        return node.answered_at_ns + NODE_QUIET_NS
    return node.backoff_until_ns if node.backoff_until_ns > d.now_ns else NEVER_NS


cdef inline void ask_for_answers(Dispatcher *d, uint32_t index) noexcept nogil:
    """Find out whether the answers that a worker owes to predecessors are still to come.

    They should have come by now; a predecessor that died may have counted a message that it did not send. First ask by
    a probe; when that is answered and nothing has followed, no answer is awaited any more.
    """
    cdef NodeChannel *node = d.slots[index].node
    cdef uint64_t *answers_read = &d.page.slots[index].answers_read
    node.answered_at_ns = d.now_ns  # if the channel takes no probe now: again after NODE_QUIET_NS
    if node.stale == STALE_AWAITED:
        node_probe(d, index)
    else:
        count(answers_read, stale_settled(node))


cdef inline void attend_node(Dispatcher *d, uint32_t index) noexcept nogil:
    """Do what is due for one Node worker."""
    cdef NodeChannel *node = d.slots[index].node
    if node.stale_answers and node_due_ns(d, node) <= d.now_ns:
        ask_for_answers(d, index)
    if node.outbox_lines and node.writing == NODE_WRITING and node.backoff_until_ns <= d.now_ns:
        node_flush(d, index)
    if d.control_closed and d.now_ns >= d.orphaned_until_ns:
        pidfd_signal(d.slots[index].pidfd, SIGKILL)


cdef inline void attend_nodes(Dispatcher *d) noexcept nogil:
    """Do what is due for Node workers before any worker is chosen in this turn."""
    resume_nodes(d)
    look_at_nodes(d)
    for index in range(d.slots_end):
        if d.slots[index].node != NULL:
            attend_node(d, index)


cdef inline bint a_client_may_wait(const Dispatcher *d) noexcept nogil:
    """Whether there may be a connection that a worker would serve if it had room."""
    if d.table.with_room == 0 or d.held.count > d.held_unserved:
        return True
    for index in range(d.listeners_end):
        if d.listeners[index].fd >= 0 and is_served(d, index) and not has_taker(d, index):
            return True
    return False


cdef inline int64_t next_node_deadline_ns(const Dispatcher *d) noexcept nogil:
    """Return the next moment at which something is due for any Node worker that no descriptor will tell."""
    cdef int64_t soonest = d.orphaned_until_ns if d.control_closed else NEVER_NS
    if waits_for_closed_connections(d) and a_client_may_wait(d):
        soonest = min(soonest, d.now_ns + LOOK_AGAIN_NS)
    for index in range(d.slots_end):
        if d.slots[index].node != NULL:
            soonest = min(soonest, node_due_ns(d, d.slots[index].node))
    return soonest


cdef inline void orphan_nodes(Dispatcher *d) noexcept nogil:
    """Have every Node worker finish, as a supervisor that stops the app would: the supervisor is gone.

    Our own workers see the end of their supervisor for themselves. To a Node worker its supervisor is the process that
    holds the other end of its channel, so we hold that for as long as the worker may take to finish.
    """
    d.orphaned_until_ns = d.now_ns + ORPHANED_NODE_NS
    for index in range(d.slots_end):
        if d.slots[index].node == NULL:
            continue
        worker_drain(d, &d.slots[index], DRAIN_TELL_NOW)
        # Its channel has ended, so it cannot be told there; and there is no supervisor that could end it.
        if d.slots[index].node.reading == NODE_ENDED:
            pidfd_signal(d.slots[index].pidfd, SIGTERM)


cdef inline bint waits_for_orphans(const Dispatcher *d) noexcept nogil:
    """Whether an orphaned Node worker still finishes: it would stop at once if our end of its channel were closed."""
    if d.node_workers == 0 or not d.control_closed or d.now_ns >= d.orphaned_until_ns:
        return False
    for index in range(d.slots_end):
        if d.slots[index].node != NULL and not d.slots[index].died:
            return True
    return False
