# Owns taking back: reading a worker's channel through our duplicate of the worker's end, and the rules from which
# workers connections may be taken back. Runs in the dispatcher process. recvmsg gives a message to exactly one reader,
# so what we get here the worker never sees, and may go to another worker. A message that no dispatcher sends is thrown
# away and its descriptors are closed.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastlb.lb.connection cimport (
    CONNECTION_HEADER_BYTES, CONNECTION_MAGIC, CONNECTION_RECORD_BYTES, CONNECTIONS_PER_MESSAGE, ConnectionMessage,
)
from fastlb.lb.descriptors cimport SPARE_DESCRIPTORS, descriptors_free
from fastlb.lb.events cimport report_slot
from fastlb.lb.held cimport Connection, held_push, held_room
from fastlb.lb.node.read cimport node_empty_channel
from fastlb.lb.node.takeback cimport node_take_back
from fastlb.lb.page cimport MAX_SLOTS, SLOT_ADMITTED, SLOT_DRAINING
from fastlb.lb.policy cimport candidate_close
from fastlb.lb.posix cimport FIONREAD, MSG_CTRUNC, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, ioctl, recv
from fastlb.lb.received cimport Received, close_rights, receive
from fastlb.lb.slots cimport WorkerSlot, slot_is_full, slot_oldest_sent_ns, slot_settle
from fastlb.lb.state cimport (
    BITMAP_WORDS, Dispatcher, MAX_HOPS, PASS_OVER_NS, bitmap_clear, count, lowest_bit, may_go_to_another, overdue_at_ns,
    slot_mark_changed,
)

cdef enum:
    MESSAGES_PER_TURN = 256  # taken back from one channel, so that a flooded one does not stop the others

# The outcome of one try to take a message back
cdef enum TakeBack:
    TAKEBACK_DONE = 0     # a message, its connections are held now (or it was thrown away)
    TAKEBACK_EMPTY = 1    # the channel is empty
    TAKEBACK_LATER = 2    # no room to hold it, or no descriptors free: it stays where it is


cdef inline bint is_connection_message(const ConnectionMessage *message, const Received *received) noexcept nogil:
    """Whether a received message is whole and what a dispatcher sends."""
    if received.flags & (MSG_TRUNC | MSG_CTRUNC) or received.length < CONNECTION_HEADER_BYTES:
        return False
    if message.magic != CONNECTION_MAGIC or not 1 <= message.count <= CONNECTIONS_PER_MESSAGE:
        return False
    return (
        received.fd_count == message.count
        and <size_t>received.length == CONNECTION_HEADER_BYTES + message.count * CONNECTION_RECORD_BYTES
    )


cdef inline void hold_message(
    Dispatcher *d, WorkerSlot *slot, ConnectionMessage *message, Received *received, bint hop
) noexcept nogil:
    """Hold the connections of a message that was taken back; `hop`: from a live worker, which did not take it.

    One that has waited for a full worker has not hopped: it may move as often as another has room. Nor has one of a
    worker that is out of the policy.
    """
    cdef Connection *connection
    cdef bint counts = hop and not slot_is_full(slot) and slot.state == SLOT_ADMITTED
    for i in range(message.count):
        connection = held_push(&d.held)
        connection.fd = received.fds[i]
        connection.record = message.records[i]
        connection.record.hops += counts
        connection.rescued = hop
    slot.taken_back += message.count
    slot_mark_changed(d, slot)
    slot_settle(slot, message.position)
    count(&d.page.redispatched, message.count)


cdef inline TakeBack take_back_message(Dispatcher *d, WorkerSlot *slot, bint hop) noexcept nogil:
    """Take the oldest message out of a worker's channel, if there is one and there is room for it."""
    cdef ConnectionMessage message
    cdef Received received
    cdef int wanted = CONNECTIONS_PER_MESSAGE + SPARE_DESCRIPTORS
    # A recvmsg into a full descriptor table would lose the connections without an error (MSG_CTRUNC).
    if held_room(&d.held) < CONNECTIONS_PER_MESSAGE:
        return TAKEBACK_LATER
    if slot.node != NULL:
        return TAKEBACK_DONE if node_take_back(d, slot) else TAKEBACK_EMPTY
    if not descriptors_free(d.descriptor_table_fd, d.epoll_fd, wanted):
        d.retry_wanted = True
        return TAKEBACK_LATER
    receive(slot.duplicate_fd, &message, sizeof(message), &received)
    if received.length < 0 or (received.length == 0 and received.fd_count == 0 and channel_is_empty(slot)):
        return TAKEBACK_EMPTY
    if is_connection_message(&message, &received):
        hold_message(d, slot, &message, &received, hop)
    else:
        close_rights(&received)
        count(&d.page.malformed, 1)
    return TAKEBACK_DONE


cdef inline bint channel_is_empty(const WorkerSlot *slot) noexcept nogil:
    """Whether nothing lies in the channel; an empty message at the very end does not count."""
    cdef uint8_t byte
    cdef int waiting = 0
    if recv(slot.duplicate_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0:
        return False
    return ioctl(slot.duplicate_fd, FIONREAD, &waiting) < 0 or waiting == 0


cdef inline TakeBack take_back_all(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Read a channel empty, or as far as there is room."""
    cdef TakeBack result
    for _ in range(MESSAGES_PER_TURN):
        result = take_back_message(d, slot, False)
        if result != TAKEBACK_DONE:
            return result
    d.retry_wanted = True
    return TAKEBACK_LATER


cdef inline bint empty_channel(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Go on emptying a worker's channel; return whether it is empty."""
    if slot.node != NULL:
        return node_empty_channel(d, <uint32_t>(slot - d.slots))
    # A draining worker that is the only one goes on taking: there is no other that could.
    if slot.state == SLOT_DRAINING and d.admitted == 0:
        return channel_is_empty(slot)
    return take_back_all(d, slot) == TAKEBACK_EMPTY


cdef inline void empty_channels(Dispatcher *d) noexcept nogil:
    """Empty the channels of all slots that are `emptying_channel`, and report those that are empty now."""
    cdef WorkerSlot *slot
    for index in range(d.slots_end):
        if d.channels_to_empty == 0:
            return
        slot = &d.slots[index]
        if not slot.emptying_channel or not empty_channel(d, slot):
            continue
        slot.emptying_channel = False
        d.channels_to_empty -= 1
        slot_settle(slot, slot.sent_position)
        if slot.announce:
            report_slot(d, slot, slot.announce)
            slot.announce = 0


cdef inline uint32_t room_of_all(const Dispatcher *d) noexcept nogil:
    """Return how many connections the admitted workers have room for, less the held connections."""
    cdef uint64_t room = 0
    for i in range(d.table.count):
        room += d.table.candidates[i].room
    return <uint32_t>(room - d.held.count) if room > d.held.count else 0


cdef inline uint32_t receivers_room(const Dispatcher *d) noexcept nogil:
    """Return how many overdue connections other workers would take at once."""
    cdef uint64_t room = 0
    for i in range(d.table.count):
        if d.table.candidates[i].receiver:
            room += d.table.candidates[i].room
    return <uint32_t>(room - d.held.count) if room > d.held.count else 0


cdef inline bint can_be_rescued(const Dispatcher *d, const WorkerSlot *slot) noexcept nogil:
    """Whether the oldest message in a live worker's channel is overdue and may be given to another."""
    return (
        slot.messages > 0
        and may_go_to_another(d, slot)
        and slot.ring[slot.oldest].hops < MAX_HOPS
        and overdue_at_ns(d, slot) <= d.now_ns
    )


cdef inline void pass_over(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Give a stuck worker nothing more for a while: else each client that it is given waits a hand-over timeout.

    When the worker runs again and has something to finish, its page moves. If it had nothing to finish, it is tried
    again after PASS_OVER_NS: then one client waits a hand-over timeout if it is still stuck.
    """
    slot.passed_over_until_ns = d.now_ns + PASS_OVER_NS
    if slot.state == SLOT_ADMITTED:
        candidate_close(&d.table, slot.candidate)


cdef inline uint32_t oldest_to_rescue(Dispatcher *d) noexcept nogil:
    """Return the slot whose overdue message was sent first, MAX_SLOTS when there is none."""
    cdef uint64_t remaining
    cdef uint32_t index, found = MAX_SLOTS
    cdef WorkerSlot *slot
    for word in range(BITMAP_WORDS):
        remaining = d.outstanding[word]
        while remaining:
            index = (<uint32_t>word << 6) + lowest_bit(remaining)
            remaining &= remaining - 1
            slot = &d.slots[index]
            if slot.messages == 0:
                bitmap_clear(d.outstanding, index)
            elif not slot.emptying_channel and can_be_rescued(d, slot) and (
                found == MAX_SLOTS or slot_oldest_sent_ns(slot) < slot_oldest_sent_ns(&d.slots[found])
            ):
                found = index
    return found


cdef inline void rescue_overdue(Dispatcher *d) noexcept nogil:
    """Take back from stuck and from full workers what is overdue, the oldest first, as much as receivers have room for.

    Never from an admitted one under ip-hash and sticky: there a client waits for its own worker.
    """
    cdef WorkerSlot *slot
    cdef TakeBack result
    cdef bint waits
    cdef uint32_t index
    d.rescue_wanted = False
    if d.admitted == 0:
        return
    index = oldest_to_rescue(d)
    while index != MAX_SLOTS:
        if receivers_room(d) == 0:
            d.rescue_wanted = True
            return
        slot = &d.slots[index]
        waits = slot_is_full(slot)
        result = take_back_message(d, slot, True)
        if result == TAKEBACK_LATER:
            return
        if result == TAKEBACK_EMPTY:
            slot.messages = 0  # the worker has taken them and not said so yet, or never will: no use to try again
        elif slot.node != NULL:
            if slot.state == SLOT_ADMITTED:
                candidate_close(&d.table, slot.candidate)
        elif not waits:
            pass_over(d, slot)
        index = oldest_to_rescue(d)
