# Owns the way of a connection to its worker: staged per worker while a turn lasts, sent in one message of at most as
# many descriptors as the worker wants, closed here when the kernel has it. Runs in the dispatcher process. What a
# channel does not take goes back to the held queue, in its old order: between two steps no connection is lost.

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastlb.lb.command cimport EVENT_CHANNEL_CLOSED
from fastlb.lb.connection cimport (
    CONNECTION_HEADER_BYTES, CONNECTION_MAGIC, CONNECTION_RECORD_BYTES, CONNECTIONS_PER_MESSAGE, ConnectionRecord,
)
from fastlb.lb.descriptors cimport descriptor_close, invariant
from fastlb.lb.events cimport report_slot
from fastlb.lb.held cimport Connection, held_drop_first, held_first, held_push, held_push_first, held_room
from fastlb.lb.node.channel cimport NODE_BROKEN
from fastlb.lb.node.write cimport node_enter_writing, node_hand_over, node_wait_for_room
from fastlb.lb.opening.reading cimport client_key
from fastlb.lb.page cimport MAX_LISTENERS, SLOT_DEAD
from fastlb.lb.policy cimport (
    NOBODY, POLICY_STICKY, candidate_charge, candidate_close, choose, choose_rescuer, choose_sticky, is_able,
    keeps_clients, listener_bit,
)
from fastlb.lb.posix cimport (
    CMSG_DATA, CMSG_LEN, MSG_DONTWAIT, MSG_NOSIGNAL, SCM_RIGHTS, SOL_SOCKET, cmsghdr, errno, iovec, msghdr, sendmsg,
)
from fastlb.lb.send_error cimport SEND_FULL, SEND_PAUSE, SEND_RETRY, SendVerdict, classify_send_error
from fastlb.lb.slots cimport Stage, WorkerSlot, slot_per_message, slot_record_sent
from fastlb.lb.state cimport (
    ACCEPTS_PER_TURN, BITMAP_WORDS, Dispatcher, SEND_PAUSE_NS, bitmap_clear, bitmap_set, count, lowest_bit, may_take,
    slot_enter, slot_mark_changed, start_emptying,
)

cdef enum:
    RIGHTS_WORDS = 10  # CMSG_SPACE(CONNECTIONS_PER_MESSAGE descriptors), in 8-byte words so that it is aligned


cdef inline void stage_connection(Dispatcher *d, int32_t index, int fd, const ConnectionRecord *record) noexcept nogil:
    """Give a connection to candidate `index`, which has room; the descriptor is the stage's from now on."""
    cdef uint32_t slot_index = d.table.candidates[index].slot
    cdef Stage *stage = &d.slots[slot_index].stage
    invariant(stage.count < CONNECTIONS_PER_MESSAGE)
    stage.fds[stage.count] = fd
    stage.message.records[stage.count] = record[0]
    stage.count += 1
    candidate_charge(&d.table, index)
    bitmap_set(d.staged, slot_index)
    if stage.count >= slot_per_message(&d.slots[slot_index]) or d.slots[slot_index].node != NULL:
        send_stage(d, slot_index)


cdef inline int send_message(WorkerSlot *slot) noexcept nogil:
    """Send what is staged for a worker as one message; 0 or -errno. The descriptors stay open here."""
    cdef uint64_t control[RIGHTS_WORDS]
    cdef msghdr message
    cdef cmsghdr *rights
    cdef iovec data
    cdef Stage *stage = &slot.stage
    stage.message.magic = CONNECTION_MAGIC
    stage.message.count = stage.count
    stage.message.position = slot.sent_position + stage.count
    data.iov_base = &stage.message
    data.iov_len = CONNECTION_HEADER_BYTES + stage.count * CONNECTION_RECORD_BYTES
    memset(&message, 0, sizeof(message))
    message.msg_iov = &data
    message.msg_iovlen = 1
    message.msg_control = control
    message.msg_controllen = CMSG_LEN(stage.count * sizeof(int))
    rights = <cmsghdr *>control
    rights.cmsg_len = message.msg_controllen
    rights.cmsg_level = SOL_SOCKET
    rights.cmsg_type = SCM_RIGHTS
    memcpy(CMSG_DATA(rights), stage.fds, stage.count * sizeof(int))
    return 0 if sendmsg(slot.channel_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 else -errno


cdef inline void stage_sent(Dispatcher *d, uint32_t slot_index) noexcept nogil:
    """Close our copies of the connections that were sent, and count them as the worker's."""
    cdef WorkerSlot *slot = &d.slots[slot_index]
    cdef uint32_t hops = 0
    for i in range(slot.stage.count):
        descriptor_close(&slot.stage.fds[i])
        hops = max(hops, slot.stage.message.records[i].hops)
    slot.sent_position += slot.stage.count
    slot_mark_changed(d, slot)
    slot_record_sent(slot, d.now_ns, hops)
    bitmap_set(d.outstanding, slot_index)
    count(&d.page.dispatched, slot.stage.count)
    slot.stage.count = 0


cdef inline void stage_refused(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Put the staged connections back into the held queue, to be the first that another worker gets."""
    cdef Connection *connection
    while slot.stage.count:
        slot.stage.count -= 1
        connection = held_push_first(&d.held)
        connection.fd = slot.stage.fds[slot.stage.count]
        connection.record = slot.stage.message.records[slot.stage.count]
        connection.rescued = connection.record.hops > 0


cdef inline void channel_broken(Dispatcher *d, WorkerSlot *slot, int error) noexcept nogil:
    """Take a worker whose channel is broken out of the policy; what lies in there is taken back in this turn."""
    slot.channel_error = error
    report_slot(d, slot, EVENT_CHANNEL_CLOSED)
    start_emptying(d, slot, 0)
    slot_enter(d, slot, SLOT_DEAD)


cdef inline void stage_failed(Dispatcher *d, WorkerSlot *slot, int error) noexcept nogil:
    """Do what follows for a worker's channel after a send failed with errno `error`; its connections are held again."""
    cdef SendVerdict verdict = classify_send_error(error)
    count(&d.page.send_failures, 1)
    stage_refused(d, slot)
    if verdict == SEND_FULL:
        slot.full = True
        candidate_close(&d.table, slot.candidate)
        if slot.node != NULL:
            node_wait_for_room(d, <uint32_t>(slot - d.slots))
    elif verdict == SEND_PAUSE:
        d.send_paused_until_ns = d.now_ns + SEND_PAUSE_NS
    elif slot.node != NULL:  # what the worker has said before is still to be read; then comes the end
        node_enter_writing(d, <uint32_t>(slot - d.slots), NODE_BROKEN)
        candidate_close(&d.table, slot.candidate)
    else:
        channel_broken(d, slot, error)


cdef inline void send_stage(Dispatcher *d, uint32_t slot_index) noexcept nogil:
    """Send what is staged for a slot, or put it back: in both cases the stage is empty then."""
    cdef WorkerSlot *slot = &d.slots[slot_index]
    cdef int result
    bitmap_clear(d.staged, slot_index)
    if d.now_ns < d.send_paused_until_ns:
        stage_refused(d, slot)
        return
    if slot.node != NULL:
        result = node_hand_over(d, slot_index)
    else:
        result = send_message(slot)
        while result < 0 and classify_send_error(-result) == SEND_RETRY:
            result = send_message(slot)
    if result < 0:
        stage_failed(d, slot, -result)
    elif slot.node == NULL:
        stage_sent(d, slot_index)


cdef inline bint has_staged(const Dispatcher *d) noexcept nogil:
    for word in range(BITMAP_WORDS):
        if d.staged[word]:
            return True
    return False


cdef inline void flush_stages(Dispatcher *d) noexcept nogil:
    """Send what is staged for any worker."""
    for word in range(BITMAP_WORDS):
        while d.staged[word]:
            send_stage(d, (<uint32_t>word << 6) + lowest_bit(d.staged[word]))


cdef inline int32_t choose_for(Dispatcher *d, int fd, const ConnectionRecord *record) noexcept nogil:
    """Return the index of the candidate that gets a connection, or NOBODY."""
    cdef bint unsticky = False
    cdef int32_t index
    if d.policy == POLICY_STICKY:
        index = choose_sticky(&d.table, listener_bit(record.listener_id), client_key(d, fd, record), &unsticky)
    else:
        index = choose(&d.table, d.policy, record, &unsticky)
    if unsticky:
        count(&d.page.unsticky, 1)
    return index


cdef inline int32_t choose_for_held(Dispatcher *d, const Connection *held) noexcept nogil:
    """Return the index of the candidate that gets a held connection, or NOBODY."""
    if held.rescued and not keeps_clients(d.policy):
        return choose_rescuer(&d.table, listener_bit(held.record.listener_id))
    return choose_for(d, held.fd, &held.record)


cdef inline bint is_served(const Dispatcher *d, uint32_t listener_id) noexcept nogil:
    """Whether an admitted worker takes this listener's connections, now or later."""
    cdef uint64_t listener = listener_bit(listener_id)
    if d.node_workers == 0:
        return True
    for i in range(d.table.count):
        if d.table.candidates[i].serves & listener:
            return True
    return False


cdef inline bint has_taker(const Dispatcher *d, uint32_t listener_id) noexcept nogil:
    """Whether some worker may be sent a connection of this listener now."""
    cdef uint64_t listener = listener_bit(listener_id)
    if not may_take(d) or d.node_workers == 0:
        return may_take(d)
    if held_room(&d.held) < ACCEPTS_PER_TURN:  # what a channel refuses must find room there
        return False
    for i in range(d.table.count):
        if is_able(&d.table.candidates[i], listener):
            return True
    return False


cdef inline void pass_held(Dispatcher *d, Connection *connection) noexcept nogil:
    """Put a held connection for which there is no worker now at the end of the queue, so that others go on."""
    cdef uint32_t listener_id = connection.record.listener_id
    if not is_served(d, listener_id):
        if listener_id < MAX_LISTENERS and d.listeners[listener_id].fd < 0:  # it was removed: no worker ever will
            descriptor_close(&connection.fd)
            count(&d.page.dropped, 1)
            return
        d.held_unserved += 1
    d.held_passed += 1
    held_push(&d.held)[0] = connection[0]


cdef inline bint stage_held(Dispatcher *d) noexcept nogil:
    """Stage held connections, oldest first; return whether any was staged.

    At the first for which there is no worker this stops: there would be none for the others either. Only with Node
    workers, which serve different listeners, that connection goes to the end of the queue and the others go on.
    """
    cdef Connection first
    cdef int32_t index
    cdef bint staged = False
    cdef uint32_t left = d.held.count
    d.held_passed = d.held_unserved = 0
    while left and may_take(d):
        left -= 1
        first = held_first(&d.held)[0]
        index = choose_for_held(d, &first)
        if index == NOBODY and d.node_workers == 0:
            break
        held_drop_first(&d.held)  # before staging, which may put refused ones in front
        if index == NOBODY:
            pass_held(d, &first)
            continue
        stage_connection(d, index, first.fd, &first.record)
        staged = True
    return staged


cdef inline void dispatch_held(Dispatcher *d) noexcept nogil:
    """Hand over the held connections, as far as workers take them.

    The loop ends: a channel that refuses takes its worker out of this turn.
    """
    while stage_held(d):
        flush_stages(d)
