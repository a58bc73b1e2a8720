# Owns what the dispatcher writes to Node workers: connections, the supervisor's lines, probes, the word to disconnect.
# Runs in the dispatcher process. A line goes out whole or not at all, with at most one descriptor: libuv takes one from
# each message and gives a second one to a later message, so that clients would be swapped. No descriptor goes to a
# worker that still owes answers to predecessors.

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset, strlen

from fastlb.lb.atomics cimport store_u64
from fastlb.lb.command cimport NODE_HISTORY_DISCONNECTED
from fastlb.lb.descriptors cimport descriptor_close
from fastlb.lb.epoll cimport WATCHED_NODE, watch_begin, watch_change, watch_end, watched_data
from fastlb.lb.node.channel cimport (
    EXPECTED_CAPACITY, NODE_BROKEN, NODE_ENDED, NODE_FULL, NODE_MARKER, NODE_PROBE, NODE_READING, NODE_WRITING,
    PENDING_SENT, STALE_PROBED, NodeChannel, PendingConnection, WritingState, awaits_answers, expect_answer, node_taken,
    outbox_drop_first, outbox_push, owes_a_probe, pending_push,
)
from fastlb.lb.node.wire cimport ANNOUNCEMENT_BYTES, DISCONNECT_LINE, PROBE_LINE, announce_connection
from fastlb.lb.posix cimport (
    CMSG_DATA, CMSG_LEN, EAGAIN, EINTR, ENOBUFS, EPIPE, EPOLLIN, EPOLLOUT, EPROTO, MSG_DONTWAIT, MSG_NOSIGNAL,
    SCM_RIGHTS, SOL_SOCKET, cmsghdr, errno, iovec, msghdr, sendmsg,
)
from fastlb.lb.send_error cimport SEND_BROKEN, SEND_FULL, SEND_PAUSE, SendVerdict, classify_send_error
from fastlb.lb.slots cimport WorkerSlot, slot_record_sent
from fastlb.lb.state cimport SEND_PAUSE_NS, Dispatcher, bitmap_set, count, slot_mark_changed

cdef enum:
    ONE_RIGHT_WORDS = 3  # CMSG_SPACE(one descriptor), in 8-byte words so that it is aligned

# A line on its way out. `number`: of the connection that goes along, NODE_MARKER for anything else.
cdef struct OutgoingLine:
    const char *text
    uint32_t length
    int fd             # borrowed; -1: none
    bint is_answered   # by NODE_HANDLE_ACK or NODE_HANDLE_NACK
    uint64_t number


cdef inline int node_poll(Dispatcher *d, uint32_t index) noexcept nogil:
    """Have epoll watch a channel for what its states ask for; 0 or -errno.

    A channel that is not read is not watched at all: epoll would report its end again and again.
    """
    cdef NodeChannel *node = d.slots[index].node
    cdef int fd = d.slots[index].channel_fd
    cdef uint32_t events = EPOLLIN | (EPOLLOUT if node.writing == NODE_FULL else 0)
    cdef bint was_polled = node.polled
    node.polled = node.reading == NODE_READING
    if node.polled and not was_polled:
        return watch_begin(d.epoll_fd, fd, events, watched_data(WATCHED_NODE, index))
    if node.polled:
        return watch_change(d.epoll_fd, fd, events, watched_data(WATCHED_NODE, index))
    if was_polled:
        watch_end(d.epoll_fd, fd)
    return 0


cdef inline void attach_right(msghdr *message, uint64_t *control, int fd) noexcept nogil:
    cdef cmsghdr *right
    message.msg_control = control
    message.msg_controllen = CMSG_LEN(sizeof(int))
    right = <cmsghdr *>control
    right.cmsg_len = message.msg_controllen
    right.cmsg_level = SOL_SOCKET
    right.cmsg_type = SCM_RIGHTS
    memcpy(CMSG_DATA(right), &fd, sizeof(int))


cdef inline int write_line(int channel_fd, const OutgoingLine *line) noexcept nogil:
    """Write one line, whole; 0 or -errno."""
    cdef uint64_t control[ONE_RIGHT_WORDS]
    cdef msghdr message
    cdef iovec data
    cdef ssize_t sent
    data.iov_base = <void *>line.text
    data.iov_len = line.length
    memset(&message, 0, sizeof(message))
    message.msg_iov = &data
    message.msg_iovlen = 1
    if line.fd >= 0:
        attach_right(&message, control, line.fd)
    sent = sendmsg(channel_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
    while sent < 0 and errno == EINTR:
        sent = sendmsg(channel_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
    if sent < 0:
        return -errno
    return 0 if sent == <ssize_t>line.length else -EPROTO


cdef inline int node_write_line(WorkerSlot *slot, const OutgoingLine *line) noexcept nogil:
    """Write one line, whole, and count it; 0 or -errno."""
    cdef NodeChannel *node = slot.node
    cdef int result = write_line(slot.channel_fd, line)
    if result == 0:
        node.written += line.length
        if line.number <= NODE_PROBE:
            node.others_end = node.written
    return result


cdef inline int node_write(Dispatcher *d, uint32_t index, const OutgoingLine *line) noexcept nogil:
    """Write a line now, and note that it will be answered; 0 or -errno, then nothing was written.

    What a successor must know is in our page before the line is out.
    """
    cdef NodeChannel *node = d.slots[index].node
    cdef uint64_t *handles_sent = &d.page.slots[index].handles_sent
    cdef int result
    if not line.is_answered:
        return node_write_line(&d.slots[index], line)
    if node.expected_count == EXPECTED_CAPACITY:
        return -EAGAIN
    # An answer that is owed to a predecessor may be that to a probe.
    if line.fd >= 0 and (owes_a_probe(node) or node.stale_answers):
        return -EAGAIN
    count(handles_sent, 1)
    result = node_write_line(&d.slots[index], line)
    if result < 0:
        store_u64(handles_sent, handles_sent[0] - 1)
    else:
        expect_answer(node, line.number)
    return result


cdef inline void node_enter_writing(Dispatcher *d, uint32_t index, WritingState writing) noexcept nogil:
    """Put the writing of a channel into a state, and have epoll watch it accordingly."""
    d.slots[index].node.writing = writing
    node_poll(d, index)


cdef inline void node_wait_for_room(Dispatcher *d, uint32_t index) noexcept nogil:
    """Have epoll tell when a channel that took no more has room again."""
    cdef NodeChannel *node = d.slots[index].node
    # A line that waits for an answer is written when that has come: there may be room all the time.
    if node.writing == NODE_WRITING and not awaits_answers(node):
        node_enter_writing(d, index, NODE_FULL)


cdef inline void node_write_later(Dispatcher *d, uint32_t index, SendVerdict verdict) noexcept nogil:
    """Have the lines that wait tried again: when the channel has room or, if epoll cannot tell, after SEND_PAUSE_NS."""
    if verdict == SEND_PAUSE:
        d.slots[index].node.backoff_until_ns = d.now_ns + SEND_PAUSE_NS
    else:
        node_wait_for_room(d, index)


cdef inline int node_say(Dispatcher *d, uint32_t index, OutgoingLine *line) noexcept nogil:
    """Write a line, or keep it until there is room; 0, then `line.fd` is ours to close, or -errno, then it is not."""
    cdef NodeChannel *node = d.slots[index].node
    cdef int result = -EAGAIN
    cdef SendVerdict verdict
    if node.reading == NODE_ENDED or node.writing == NODE_BROKEN:
        return -EPIPE
    if node.outbox_lines == 0:
        result = node_write(d, index, line)
    if result == 0:
        descriptor_close(&line.fd)
        return 0
    verdict = classify_send_error(-result)
    if verdict == SEND_BROKEN:
        return result
    if not outbox_push(node, line.text, line.length, line.fd, line.is_answered):
        return -ENOBUFS
    node_write_later(d, index, verdict)
    return 0


cdef inline void outbox_first(NodeChannel *node, OutgoingLine *line) noexcept nogil:
    line.text, line.length = node.outbox_text, node.outbox[0].length
    line.fd, line.is_answered = node.outbox[0].fd, node.outbox[0].is_answered
    line.number = NODE_MARKER


cdef inline void node_flush(Dispatcher *d, uint32_t index) noexcept nogil:
    """Write the lines that wait for a Node worker as far as its channel takes them; then connections may follow."""
    cdef NodeChannel *node = d.slots[index].node
    cdef OutgoingLine line
    cdef int result = 0
    cdef SendVerdict verdict
    while node.outbox_lines and result == 0:
        outbox_first(node, &line)
        result = node_write(d, index, &line)
        if result == 0:
            descriptor_close(&node.outbox[0].fd)
            outbox_drop_first(node)
    if result == 0:
        d.slots[index].full = False
        node_enter_writing(d, index, NODE_WRITING)
        return
    verdict = classify_send_error(-result)
    if verdict == SEND_BROKEN:
        node_enter_writing(d, index, NODE_BROKEN)
    elif verdict == SEND_PAUSE:
        node.backoff_until_ns = d.now_ns + SEND_PAUSE_NS
        node_enter_writing(d, index, NODE_WRITING)
    else:
        node_enter_writing(d, index, NODE_WRITING if awaits_answers(node) else NODE_FULL)


cdef inline void node_fixed_line(OutgoingLine *line, const char *text, bint is_answered) noexcept nogil:
    line.text, line.length = text, <uint32_t>strlen(text)
    line.fd, line.is_answered, line.number = -1, is_answered, NODE_MARKER


cdef inline void node_note_disconnected(Dispatcher *d, uint32_t index) noexcept nogil:
    """Note, for a successor too, that a worker is not to be told to disconnect any more."""
    cdef uint64_t *history = &d.page.slots[index].history
    store_u64(history, history[0] | NODE_HISTORY_DISCONNECTED)


cdef inline void node_disconnect(Dispatcher *d, uint32_t index) noexcept nogil:
    """Tell a worker to close its servers and to leave when its connections are done.

    Only once: a worker that is told twice does not wait for them (_disconnect in lib/internal/cluster/child.js).
    """
    cdef OutgoingLine line
    if d.page.slots[index].history & NODE_HISTORY_DISCONNECTED:
        return
    node_note_disconnected(d, index)
    node_fixed_line(&line, DISCONNECT_LINE, False)
    node_say(d, index, &line)


cdef inline int node_probe(Dispatcher *d, uint32_t index) noexcept nogil:
    """Ask a worker for a sign of life, unless it owes one or has lines to read before; 0 or -errno."""
    cdef OutgoingLine line
    cdef NodeChannel *node = d.slots[index].node
    cdef int result
    # Lines that wait because answers to predecessors are missing do not go before: the probe is what ends their wait.
    if owes_a_probe(node) or (node.outbox_lines and node.stale_answers == 0):
        return 0
    node_fixed_line(&line, PROBE_LINE, True)
    line.number = NODE_PROBE
    result = node_write(d, index, &line)
    if result == 0 and node.stale_answers:
        node.stale = STALE_PROBED
    return 0 if result < 0 and classify_send_error(-result) == SEND_FULL else result


cdef inline void node_count(WorkerSlot *slot) noexcept nogil:
    """Store in the worker's page what the worker would: connections that it has answered for are taken."""
    cdef NodeChannel *node = slot.node
    store_u64(&node.page.taken, node_taken(node))
    store_u64(&node.page.position, slot.sent_position - (node.pending_count - node.received_count))


cdef inline int node_hand_over(Dispatcher *d, uint32_t index) noexcept nogil:
    """Send the one connection that is staged; 0, then it is pending, or -errno, then it is staged as before."""
    cdef WorkerSlot *slot = &d.slots[index]
    cdef NodeChannel *node = slot.node
    cdef char text[ANNOUNCEMENT_BYTES]
    cdef OutgoingLine line
    cdef PendingConnection *pending
    cdef int result
    line.number = node.last_number + 1
    line.text, line.fd, line.is_answered = text, slot.stage.fds[0], True
    line.length = announce_connection(text, d.listeners[slot.stage.message.records[0].listener_id].key, line.number)
    result = node_write(d, index, &line)
    if result < 0:
        return result
    node.last_number = line.number
    pending = pending_push(node)
    pending.number, pending.sent_at_ns, pending.state = line.number, d.now_ns, PENDING_SENT
    pending.begins_at = node.written - line.length
    pending.fd, pending.record = slot.stage.fds[0], slot.stage.message.records[0]
    slot.stage.count = 0
    slot.sent_position += 1
    if slot.duplicate_fd >= 0:
        slot_record_sent(slot, d.now_ns, pending.record.hops)
        bitmap_set(d.outstanding, index)
    node_count(slot)
    slot_mark_changed(d, slot)
    count(&d.page.dispatched, 1)
    return 0
