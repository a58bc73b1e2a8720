# Owns what the dispatcher reads from Node workers. Runs in the dispatcher process. Lines about connections are dealt
# with here; every other line goes to the supervisor. A line is looked at in the kernel's queue and taken out when it
# has been dealt with, so that a dispatcher that dies leaves it to its successor. A worker that writes nonsense, or
# much, harms only itself.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy

from fastlb.lb.atomics cimport store_i64, store_u64
from fastlb.lb.command cimport EVENT_CHANNEL_CLOSED, MESSAGE_PART_BYTES, NODE_HISTORY_MID_LINE
from fastlb.lb.descriptors cimport descriptor_close
from fastlb.lb.events cimport report_slot, send_message_part
from fastlb.lb.held cimport Connection, held_push, held_room
from fastlb.lb.node.channel cimport (
    LONGEST_LINE_BYTES, NODE_BACKOFF_NS, NODE_ENDED, NODE_PAUSED, NODE_PROBE, NODE_READING, NODE_WRITING, NodeChannel,
    PendingConnection, ReadingState, awaits_answers, expects_probe_first, next_answered, pending_received, pending_take,
    rate_allows, rate_give_back, stale_answered,
)
from fastlb.lb.node.wire cimport (
    NODE_LINE_ACCEPTED, NODE_LINE_HANDLE, NODE_LINE_MISSED, NODE_LINE_OTHER, NODE_LINE_RECEIVED, NODE_LINE_REFUSED,
    NodeLine, RECEIVED_LINE, classify_node_line, is_internal,
)
from fastlb.lb.node.write cimport OutgoingLine, node_count, node_fixed_line, node_flush, node_poll, node_say
from fastlb.lb.page cimport SLOT_ADMITTED, SLOT_DEAD
from fastlb.lb.posix cimport (
    EAGAIN, EINTR, EMSGSIZE, ENOMEM, MSG_DONTWAIT, MSG_PEEK, SIGTERM, errno, pidfd_signal, recv,
)
from fastlb.lb.slots cimport WorkerSlot
from fastlb.lb.state cimport Dispatcher, NODE_READ_BYTES, count, slot_enter, slot_mark_changed, start_emptying
from fastlb.lb.turns cimport turn_seen

cdef enum:
    READS_OF_THE_DEAD = 16  # in one turn; what is left is read in the next


# -- answers about connections ----------------------------------------------------------------------------------

cdef inline void node_hold(Dispatcher *d, WorkerSlot *slot, PendingConnection *pending) noexcept nogil:
    """Hold a connection that the worker did not take, so that another gets it; there must be room for it.

    From a worker that leaves the policy, or has died, it has not hopped: it gets none of them again.
    """
    cdef Connection *connection = held_push(&d.held)
    connection.fd = pending.fd
    connection.record = pending.record
    connection.record.hops += slot.state == SLOT_ADMITTED
    connection.rescued = True
    slot.taken_back += 1
    slot_mark_changed(d, slot)
    count(&d.page.redispatched, 1)


cdef inline void node_refused(Dispatcher *d, WorkerSlot *slot, uint64_t number) noexcept nogil:
    """Take back a connection that the worker refused, and give it none for a moment: it would refuse that one again."""
    cdef PendingConnection pending
    if not pending_take(slot.node, number, &pending):
        return
    node_hold(d, slot, &pending)
    node_count(slot)
    slot.node.backoff_until_ns = d.now_ns + NODE_BACKOFF_NS
    count(&d.page.slots[slot - d.slots].refused, 1)


cdef inline void node_accepted(WorkerSlot *slot, uint64_t number) noexcept nogil:
    """Close our copy of a connection that the worker accepted: the worker's close must reach the client at once."""
    cdef PendingConnection pending
    if not pending_take(slot.node, number, &pending):
        return
    descriptor_close(&pending.fd)
    slot.node.accepted += 1
    node_count(slot)


cdef inline void node_answered(Dispatcher *d, WorkerSlot *slot, bint missed) noexcept nogil:
    """Deal with one NODE_HANDLE_ACK, or NODE_HANDLE_NACK (`missed`); these come in the order of what was sent."""
    cdef NodeChannel *node = slot.node
    cdef uint64_t number
    cdef int64_t before_ns = node.answered_at_ns, sent_at_ns
    if not missed and expects_probe_first(node):
        return
    node.answers += 1
    node.answered_at_ns = d.now_ns
    if node.stale_answers == 0:
        number = next_answered(node)
        if missed and number > NODE_PROBE:
            node_refused(d, slot, number)
        elif number > NODE_PROBE:
            sent_at_ns = pending_received(node, number)
            if sent_at_ns:
                node.turn_ns = turn_seen(node.turn_ns, d.now_ns - max(sent_at_ns, before_ns), d.handover_timeout_ns)
            node_count(slot)
    else:
        stale_answered(node, missed)
    if node.outbox_lines and node.writing == NODE_WRITING and not awaits_answers(node):
        node_flush(d, <uint32_t>(slot - d.slots))


cdef inline void node_answer_handle(Dispatcher *d, uint32_t index) noexcept nogil:
    """Answer a handle that the app has sent, though no process takes it: until then the worker sends nothing else."""
    cdef OutgoingLine line
    node_fixed_line(&line, RECEIVED_LINE, False)
    node_say(d, index, &line)


# -- lines ------------------------------------------------------------------------------------------------------

cdef inline bint node_forward(Dispatcher *d, uint32_t index, const char *line, uint32_t length) noexcept nogil:
    """Send a line to the supervisor; return whether it is done with. False: the control socket takes no more now."""
    cdef NodeChannel *node = d.slots[index].node
    cdef bint internal = is_internal(line, length)
    cdef uint32_t part
    if d.control_closed or length == 0:
        return True
    if d.outbox.blocked:
        return False
    if node.forwarded == 0 and not rate_allows(&node.rate, internal, length, d.now_ns):
        count(&d.page.slots[index].messages_dropped, 1)
        return True
    while node.forwarded < length:
        part = min(length - node.forwarded, <uint32_t>MESSAGE_PART_BYTES)
        if not send_message_part(d, index, line + node.forwarded, part, node.forwarded + part < length):
            if node.forwarded == 0:
                rate_give_back(&node.rate, internal, length)
            return False
        node.forwarded += part
    node.forwarded = 0
    return True


cdef inline bint node_take_line(Dispatcher *d, uint32_t index, const char *line, uint32_t length) noexcept nogil:
    """Deal with one line of a worker; False: that is not possible now."""
    cdef WorkerSlot *slot = &d.slots[index]
    cdef uint64_t number
    cdef NodeLine kind = classify_node_line(line, length, &number)
    if kind == NODE_LINE_OTHER:
        return node_forward(d, index, line, length)
    if (kind == NODE_LINE_REFUSED or kind == NODE_LINE_MISSED) and held_room(&d.held) == 0:
        return False
    if kind == NODE_LINE_RECEIVED or kind == NODE_LINE_MISSED:
        node_answered(d, slot, kind == NODE_LINE_MISSED)
    elif kind == NODE_LINE_ACCEPTED:
        node_accepted(slot, number)
    elif kind == NODE_LINE_REFUSED:
        node_refused(d, slot, number)
    elif kind == NODE_LINE_HANDLE:
        if not node_forward(d, index, line, length):
            return False
        node_answer_handle(d, index)
    return True


cdef inline void node_fault(Dispatcher *d, uint32_t index, int error) noexcept nogil:
    """Read no more of a worker that is at fault: the supervisor is told, and ends it."""
    cdef WorkerSlot *slot = &d.slots[index]
    node_close_reading(d, index)
    slot.channel_error = error
    report_slot(d, slot, EVENT_CHANNEL_CLOSED)
    slot_enter(d, slot, SLOT_DEAD)


cdef inline bint node_keep(Dispatcher *d, uint32_t index, const char *text, uint32_t length) noexcept nogil:
    """Keep the begin of a line until its end is there; False: the line is too long, and the worker is out."""
    cdef NodeChannel *node = d.slots[index].node
    cdef uint64_t *history = &d.page.slots[index].history
    if node.part == NULL:
        node.part = <char *>malloc(LONGEST_LINE_BYTES)
    if node.part == NULL or node.part_length + length > <uint32_t>LONGEST_LINE_BYTES:
        node_fault(d, index, EMSGSIZE if node.part != NULL else ENOMEM)
        return False
    memcpy(node.part + node.part_length, text, length)
    node.part_length += length
    store_u64(history, history[0] | NODE_HISTORY_MID_LINE)
    return True


cdef inline bint node_take_end(Dispatcher *d, uint32_t index, const char *end, uint32_t length) noexcept nogil:
    """Deal with a line whose begin was kept and whose end is here; False: that is not possible now."""
    cdef NodeChannel *node = d.slots[index].node
    cdef uint64_t *history = &d.page.slots[index].history
    if not node_keep(d, index, end, length):
        return False
    if not node_take_line(d, index, node.part, node.part_length):
        node.part_length -= length
        return False
    free(node.part)
    node.part = NULL
    node.part_length = 0
    store_u64(history, history[0] & ~<uint64_t>NODE_HISTORY_MID_LINE)
    return True


cdef inline bint node_take_next(Dispatcher *d, uint32_t index, const char *line, uint32_t length) noexcept nogil:
    """Deal with what stands before a newline: a line, the end of one, or what a predecessor left of one."""
    cdef NodeChannel *node = d.slots[index].node
    cdef uint64_t *history = &d.page.slots[index].history
    if node.dropping:
        node.dropping = False
        store_u64(history, history[0] & ~<uint64_t>NODE_HISTORY_MID_LINE)
        return True
    if node.part_length:
        return node_take_end(d, index, line, length)
    return node_take_line(d, index, line, length)


cdef inline uint32_t node_take_lines(Dispatcher *d, uint32_t index, const char *text, uint32_t length) noexcept nogil:
    """Deal with all lines that end in `text`, as far as possible now; return how many bytes are done with."""
    cdef NodeChannel *node = d.slots[index].node
    cdef const char *newline
    cdef uint32_t done = 0, line_length
    while done < length:
        newline = <const char *>memchr(text + done, 10, length - done)
        if newline == NULL:
            break
        line_length = <uint32_t>(newline - text) - done
        if not node_take_next(d, index, text + done, line_length):
            node_pause(d, index)
            return done
        done += line_length + 1
    if done:
        return done
    # A line without its end is taken out of the queue, because epoll would report it again and again.
    return length if node.dropping or node_keep(d, index, text, length) else 0


# -- the channel ------------------------------------------------------------------------------------------------

cdef inline void node_enter_reading(Dispatcher *d, uint32_t index, ReadingState reading) noexcept nogil:
    """Put the reading of a channel into a state, and have epoll watch it accordingly."""
    cdef NodeChannel *node = d.slots[index].node
    if node.reading == NODE_PAUSED:
        d.nodes_paused -= 1
    if reading == NODE_PAUSED:
        d.nodes_paused += 1
    node.reading = reading
    node_poll(d, index)


cdef inline void node_pause(Dispatcher *d, uint32_t index) noexcept nogil:
    """Leave what a worker says in the kernel's queue until there is room for it elsewhere."""
    if d.slots[index].node.reading == NODE_READING:
        node_enter_reading(d, index, NODE_PAUSED)


cdef inline void resume_nodes(Dispatcher *d) noexcept nogil:
    """Go on reading the paused workers, if there is room for what they say; while paused they count as heard from."""
    cdef bint has_room = (not d.outbox.blocked or d.control_closed) and held_room(&d.held) > 0
    if d.nodes_paused == 0:
        return
    for index in range(d.slots_end):
        if d.slots[index].node == NULL or d.slots[index].node.reading != NODE_PAUSED:
            continue
        store_i64(&d.page.slots[index].heard_at_ns, d.now_ns)
        if has_room:
            node_enter_reading(d, index, NODE_READING)


cdef inline void node_close_reading(Dispatcher *d, uint32_t index) noexcept nogil:
    """Read nothing more of a channel."""
    node_enter_reading(d, index, NODE_ENDED)


cdef inline void node_ended(Dispatcher *d, uint32_t index) noexcept nogil:
    """Note that everything a worker ever said is read: connections that it has not accepted go to others."""
    cdef WorkerSlot *slot = &d.slots[index]
    node_close_reading(d, index)
    start_emptying(d, slot, slot.announce)
    if slot.state == SLOT_DEAD:
        return
    slot.channel_error = 0
    report_slot(d, slot, EVENT_CHANNEL_CLOSED)
    slot_enter(d, slot, SLOT_DEAD)
    if d.control_closed:  # it has finished, and there is no supervisor that could end it
        pidfd_signal(slot.pidfd, SIGTERM)


cdef inline bint is_gone(const WorkerSlot *slot) noexcept nogil:
    """Whether a worker's process has ended: the supervisor says REMOVE only then."""
    return slot.died or slot.removing


cdef inline void node_consume(Dispatcher *d, uint32_t index, uint32_t length) noexcept nogil:
    """Take the bytes that are done with out of the kernel's queue.

    Without room for them the kernel closes descriptors that the app sent along (unix(7), SCM_RIGHTS).
    """
    cdef NodeChannel *node = d.slots[index].node
    cdef uint64_t *answers_read = &d.page.slots[index].answers_read
    cdef ssize_t taken
    while length:
        taken = recv(d.slots[index].channel_fd, d.node_text, length, MSG_DONTWAIT)
        if taken <= 0:
            break
        length -= <uint32_t>taken
    if node.answers:
        count(answers_read, node.answers)
        node.answers = 0


cdef inline void node_read(Dispatcher *d, uint32_t index) noexcept nogil:
    """Read what a worker says, once and at most NODE_READ_BYTES."""
    cdef WorkerSlot *slot = &d.slots[index]
    cdef ssize_t length = recv(slot.channel_fd, d.node_text, NODE_READ_BYTES, MSG_PEEK | MSG_DONTWAIT)
    if length < 0 and (errno == EAGAIN or errno == EINTR):
        if is_gone(slot) and errno == EAGAIN:  # a child of the worker holds the other end
            node_ended(d, index)
        return
    if length <= 0:
        node_ended(d, index)
        return
    store_i64(&d.page.slots[index].heard_at_ns, d.now_ns)
    node_consume(d, index, node_take_lines(d, index, d.node_text, <uint32_t>length))


cdef inline bint node_empty_channel(Dispatcher *d, uint32_t index) noexcept nogil:
    """Hold the pending connections of a worker that is gone for others; return whether none is pending any more.

    Everything that the worker said is read before: a connection that it has accepted is not given to another.
    """
    cdef WorkerSlot *slot = &d.slots[index]
    cdef NodeChannel *node = slot.node
    cdef PendingConnection pending
    for _ in range(READS_OF_THE_DEAD):
        if not is_gone(slot) or node.reading != NODE_READING:
            break
        node_read(d, index)
    if is_gone(slot) and node.reading != NODE_ENDED:
        d.retry_wanted = True
        return False
    while node.reading == NODE_ENDED and node.pending_count and held_room(&d.held):
        pending_take(node, node.pending[0].number, &pending)
        node_hold(d, slot, &pending)
    node_count(slot)
    d.retry_wanted |= node.reading == NODE_ENDED and node.pending_count > 0
    return node.pending_count == 0
