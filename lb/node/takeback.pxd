# Owns taking back from a live Node worker: a line that announces a connection, through our duplicate of the worker's
# end, while it is not read. Runs in the dispatcher process. The channel is a stream that carries other lines, too, and
# a read ends behind a descriptor, but begins with all that lies in front. So nothing is read here unless all that is
# unread are announcements of ours: the kernel tells how much is (FIONREAD), and no other process writes. Without a
# duplicate (the supervisor writes there as well, or the worker drains) a worker keeps what it was sent.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastlb.lb.connection cimport MAX_CREDIT
from fastlb.lb.descriptors cimport descriptor_close
from fastlb.lb.handover cimport is_served
from fastlb.lb.held cimport held_room
from fastlb.lb.node.channel cimport (
    NODE_HELD_UP_NS, PENDING_SENT, NodeChannel, PendingConnection, forget_answer, pending_take,
)
from fastlb.lb.node.read cimport node_hold
from fastlb.lb.node.wire cimport ANNOUNCEMENT_BYTES, announced_number
from fastlb.lb.node.write cimport node_count, node_probe
from fastlb.lb.posix cimport FIONREAD, MSG_DONTWAIT, MSG_PEEK, ioctl, recv
from fastlb.lb.slots cimport WorkerSlot, slot_oldest_sent_ns, slot_settle
from fastlb.lb.state cimport Dispatcher, count
from fastlb.lb.turns cimport turn_seen


cdef inline void node_stop_taking_back(WorkerSlot *slot) noexcept nogil:
    """Close our duplicate: as long as it is open, a worker that closes its channel is not seen to."""
    descriptor_close(&slot.duplicate_fd)
    slot.messages = 0


cdef inline const PendingConnection *first_unread(const WorkerSlot *slot) noexcept nogil:
    """Return the connection that the worker reads next, if only connections of ours are unread; else NULL."""
    cdef const NodeChannel *node = slot.node
    cdef int unread = 0
    cdef uint32_t i
    if slot.duplicate_fd < 0 or ioctl(slot.duplicate_fd, FIONREAD, &unread) < 0 or unread <= 0:
        return NULL
    if node.written - <uint64_t>unread < node.others_end:  # also when a predecessor's lines are unread
        return NULL
    for i in range(node.pending_count):
        if node.pending[i].state == PENDING_SENT and node.pending[i].begins_at == node.written - <uint64_t>unread:
            return &node.pending[i]
    return NULL


cdef inline uint64_t take_back_line(const WorkerSlot *slot) noexcept nogil:
    """Take the first unread line out of the channel; return the number of its connection, 0: the worker was quicker.

    The descriptor in it is not received, so that the kernel closes it: we have a copy.
    """
    cdef char text[ANNOUNCEMENT_BYTES]
    cdef ssize_t length = recv(slot.duplicate_fd, text, ANNOUNCEMENT_BYTES, MSG_DONTWAIT | MSG_PEEK)
    if length <= 0 or announced_number(text, <size_t>length) == 0:
        return 0
    length = recv(slot.duplicate_fd, text, ANNOUNCEMENT_BYTES, MSG_DONTWAIT)
    return announced_number(text, <size_t>length) if length > 0 else 0


cdef inline bint take_back_connection(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Hold the first connection that the worker has not read; False: there is none, or it would have to stay held."""
    cdef NodeChannel *node = slot.node
    cdef const PendingConnection *unread = first_unread(slot)
    cdef PendingConnection pending
    if unread == NULL or held_room(&d.held) == 0 or not is_served(d, unread.record.listener_id):
        return False
    if not pending_take(node, take_back_line(slot), &pending):
        return False
    forget_answer(node, pending.number)
    count(&d.page.slots[slot - d.slots].answers_read, 1)
    node_hold(d, slot, &pending)
    return True


cdef inline uint32_t node_take_back_unread(Dispatcher *d, WorkerSlot *slot, uint32_t most) noexcept nogil:
    """Hold connections that a worker has left unread, for others, up to `most`; return how many there were."""
    cdef uint32_t taken_back = 0
    while taken_back < most and take_back_connection(d, slot):
        taken_back += 1
    if taken_back:
        node_count(slot)
        slot.seen_position = slot.node.page.position  # our doing, and no move of the worker
        slot_settle(slot, slot.seen_position)
    return taken_back


cdef inline bint node_take_back(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Hold what a stuck worker has left unread, for others; return whether there was anything.

    Then it is asked by a probe, and gets nothing before it has answered: nothing else tells that it runs again.
    """
    cdef int64_t since_ns = max(slot_oldest_sent_ns(slot), slot.node.answered_at_ns)
    if node_take_back_unread(d, slot, MAX_CREDIT) == 0:
        return False
    slot.node.turn_ns = turn_seen(slot.node.turn_ns, d.now_ns - since_ns, d.handover_timeout_ns)
    slot.node.held_up_until_ns = d.now_ns + NODE_HELD_UP_NS
    node_probe(d, <uint32_t>(slot - d.slots))
    return True
