# Owns WorkerSlot: a worker incarnation's fixed place in the dispatcher's table, and the arithmetic of what the worker
# holds. Runs in the dispatcher process. Makes no system call; it reads the worker's page, and what stands there is a
# claim: clamped, never an index, never a divisor.
#
#   ADD_WORKER   ADMIT, WITHDRAW       DRAIN
#  FREE ──────► ADDED ◄────► ADMITTED ───────► DRAINING          every state ── pidfd, broken channel ──► DEAD
#    ▲                                                                                                    │
#    └───────────────────────── REMOVE, when its channel has been read empty ◄──────────────────────────────┘

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from fastlb.lb.atomics cimport load_u64
from fastlb.lb.connection cimport CONNECTIONS_PER_MESSAGE, MAX_CREDIT, ConnectionMessage
from fastlb.lb.descriptors cimport invariant
from fastlb.lb.node.channel cimport NodeChannel
from fastlb.lb.page cimport SLOT_ADMITTED, WorkerPage
from fastlb.lb.turns cimport LONG_TURN_NS, patience_ns

cdef enum:
    CLAIM_CEILING = 0x7FFFFFFF

# A message in the worker's channel, from when it was sent until the worker says that it has taken it.
cdef struct SentMessage:
    uint64_t position
    int64_t sent_at_ns
    uint32_t hops       # the most that any of its connections has

# Connections accepted in this turn for this worker: one message in the making.
cdef struct Stage:
    uint32_t count
    int fds[CONNECTIONS_PER_MESSAGE]
    ConnectionMessage message

cdef struct WorkerSlot:
    uint32_t state
    int32_t candidate     # its index in the policy's table while ADMITTED
    bint full             # the channel took no more: nothing is sent until the worker moves
    bint watched          # our `starved` in its page is set
    bint emptying_channel  # we are to read its channel empty: see takeback.pxd
    bint died             # its pidfd has fired
    bint removing         # REMOVE came: free it when its channel is empty
    uint32_t announce     # event to report when its channel is empty; 0: none
    uint32_t reports      # events to send, bit EVENT_...
    int channel_error     # errno of CHANNEL_CLOSED
    # bounds, as the supervisor gave them (credit 1..MAX_CREDIT, others 0 = unbounded)
    uint32_t credit
    uint32_t capacity
    uint32_t max_connections
    uint32_t hash_key
    uint64_t serves       # bit i: it may get connections of listener i
    # what we own
    uint64_t incarnation
    int channel_fd
    int duplicate_fd      # of the worker's end: what it has not taken can be taken back from here; -1: it cannot
    int pidfd
    int wakeup_fd         # the worker writes it when it moves and we sleep; never read; Node: -1
    NodeChannel *node     # NULL: a worker with a channel of ours
    WorkerPage *page      # of a Node worker: the one in its NodeChannel
    # positions (connection.pxd): settled_position <= sent_position, both of this dispatcher's epoch
    uint64_t sent_position     # of the last connection sent
    uint64_t settled_position  # up to here taken by the worker or taken back by us
    int64_t moved_at_ns   # when we last saw a change of the page
    int64_t passed_over_until_ns  # a message was taken back from it: it gets none until it moves, or until then
    uint64_t taken_back
    uint64_t taken_back_before  # as it was when we began to empty its channel
    # the page as last seen
    uint64_t seen_position
    uint64_t seen_taken
    uint64_t seen_closed
    uint64_t seen_busy
    uint64_t seen_pressure
    uint64_t seen_per_message
    int64_t seen_turn_ns
    # messages that may lie in the channel: a ring, oldest first
    uint32_t oldest
    uint32_t messages
    SentMessage ring[MAX_CREDIT]
    Stage stage


cdef inline uint32_t claim_clamp(uint64_t claim) noexcept nogil:
    """Return what a worker claims, or the most that we calculate with."""
    return <uint32_t>claim if claim < CLAIM_CEILING else CLAIM_CEILING


cdef inline uint32_t room_left(uint32_t bound, uint64_t used) noexcept nogil:
    return bound - <uint32_t>used if used < bound else 0


cdef inline uint32_t slot_untaken(const WorkerSlot *slot) noexcept nogil:
    """Return how many connections were sent to the worker and neither taken nor taken back."""
    return claim_clamp(slot.sent_position - slot.settled_position)


cdef inline uint32_t slot_given(const WorkerSlot *slot) noexcept nogil:
    """Return how many connections are untaken or staged for the worker in this turn."""
    return slot_untaken(slot) + slot.stage.count


cdef inline uint32_t slot_open(const WorkerSlot *slot) noexcept nogil:
    """Return how many connections the worker has open, or will have when it takes what it was given."""
    cdef uint64_t taken = slot.seen_taken
    cdef uint64_t open = taken - slot.seen_closed if taken > slot.seen_closed else 0
    return claim_clamp(<uint64_t>claim_clamp(open) + slot_given(slot))


cdef inline bint slot_may_be_sent(const WorkerSlot *slot) noexcept nogil:
    """Whether a worker may be sent anything at all now."""
    return slot.state == SLOT_ADMITTED and not (slot.full or slot.seen_pressure or slot.messages == MAX_CREDIT)


cdef inline bint slot_waits_its_turn(const WorkerSlot *slot) noexcept nogil:
    """Whether a second connection in a worker's channel would wait for two long turns: it gets one at a time."""
    return slot.capacity == 0 and slot.seen_turn_ns > LONG_TURN_NS


cdef inline uint32_t slot_room(const WorkerSlot *slot, uint32_t least_credit) noexcept nogil:
    """Return how many more connections a worker may be sent now; its credit counts as at least `least_credit`."""
    cdef uint32_t room
    cdef uint32_t given = slot_given(slot)
    if not slot_may_be_sent(slot):
        return 0
    room = room_left(slot.credit if slot.credit > least_credit else least_credit, given)
    if slot_waits_its_turn(slot) and least_credit == 0:
        room = min(room, room_left(1, given))
    if slot.capacity:
        room = min(room, room_left(slot.capacity, <uint64_t>claim_clamp(slot.seen_busy) + given))
    if slot.max_connections:
        room = min(room, room_left(slot.max_connections, slot_open(slot)))
    return room


cdef inline bint slot_is_full(const WorkerSlot *slot) noexcept nogil:
    """Whether a worker with a capacity is busy to the brim: what lies in its channel waits until something is done."""
    return slot.capacity != 0 and claim_clamp(slot.seen_busy) >= slot.capacity


cdef inline bint slot_has_waiting_place(const WorkerSlot *slot, int64_t moved_after_ns) noexcept nogil:
    """Whether a worker without room for its capacity's sake may be sent one connection that waits in its channel.

    So a worker that is done finds the next one there, and need not wait for us. None waits behind what was not taken,
    unless the worker has moved just now, and is about to take it.
    """
    cdef uint32_t given = slot_given(slot)
    if not slot_may_be_sent(slot) or given >= slot.credit:
        return False
    if given and slot.moved_at_ns <= moved_after_ns:
        return False
    if slot.capacity == 0 or claim_clamp(slot.seen_busy) + <uint64_t>given != slot.capacity:
        return False
    return slot.max_connections == 0 or slot_open(slot) < slot.max_connections


cdef inline uint32_t slot_per_message(const WorkerSlot *slot) noexcept nogil:
    """Return how many connections a message to the worker may have: as it wants it, within what a message holds."""
    if slot.seen_per_message == 0 or slot.seen_per_message > CONNECTIONS_PER_MESSAGE:
        return CONNECTIONS_PER_MESSAGE
    return <uint32_t>slot.seen_per_message


cdef inline void slot_settle(WorkerSlot *slot, uint64_t position) noexcept nogil:
    """Note that everything up to `position` has left the channel, a FIFO; no claim counts beyond what we sent."""
    position = min(position, slot.sent_position)
    if position <= slot.settled_position:
        return
    slot.settled_position = position
    while slot.messages and slot.ring[slot.oldest].position <= position:
        slot.oldest = (slot.oldest + 1) % MAX_CREDIT
        slot.messages -= 1


cdef inline void slot_record_sent(WorkerSlot *slot, int64_t now_ns, uint32_t hops) noexcept nogil:
    """Note the message that has just been sent, the last up to `sent_position`; `hops`: the most that it contains."""
    cdef SentMessage *newest
    invariant(slot.messages < MAX_CREDIT)
    newest = &slot.ring[(slot.oldest + slot.messages) % MAX_CREDIT]
    newest.position = slot.sent_position
    newest.sent_at_ns = now_ns
    newest.hops = hops
    slot.messages += 1


cdef inline bint slot_refresh(WorkerSlot *slot, int64_t now_ns) noexcept nogil:
    """Read the worker's page; return whether it moved since the last look.

    Position first, `closed` before `taken`: the worker writes them in the reverse order, so a reader may
    count a connection twice for a moment and never not at all.
    """
    cdef uint64_t position = load_u64(&slot.page.position)
    cdef uint64_t closed = load_u64(&slot.page.closed)
    cdef uint64_t taken = load_u64(&slot.page.taken)
    cdef uint64_t busy = load_u64(&slot.page.busy)
    cdef uint64_t pressure = load_u64(&slot.page.pressure)
    slot.seen_per_message = load_u64(&slot.page.per_message)  # of itself no move: it lets nothing go on
    slot.seen_turn_ns = claim_clamp(load_u64(&slot.page.turn_ns))  # neither is this one
    if (
        position == slot.seen_position and closed == slot.seen_closed and taken == slot.seen_taken
        and busy == slot.seen_busy and pressure == slot.seen_pressure
    ):
        return False
    slot.seen_position, slot.seen_closed, slot.seen_taken = position, closed, taken
    slot.seen_busy, slot.seen_pressure = busy, pressure
    slot.full = False
    slot.passed_over_until_ns = 0
    slot.moved_at_ns = now_ns
    slot_settle(slot, position)
    return True


cdef inline int64_t slot_oldest_sent_ns(const WorkerSlot *slot) noexcept nogil:
    """Return when the oldest message of a slot that has any was sent."""
    return slot.ring[slot.oldest].sent_at_ns


cdef inline int64_t slot_overdue_at_ns(const WorkerSlot *slot, int64_t handover_timeout_ns) noexcept nogil:
    """Return when a worker's oldest untaken message is (or was) overdue.

    At once under pressure, when it reads nothing, and of one that is full, where it waits: any other worker that has
    room is better. One that was full takes it now, so its time counts from when it moved. One whose every turn is long
    is busy, and not stuck.
    """
    if slot.seen_pressure or slot_is_full(slot):
        return 0
    if slot.node != NULL:
        return slot_oldest_sent_ns(slot) + patience_ns(slot.node.turn_ns, handover_timeout_ns)
    if slot.capacity:
        return max(slot_oldest_sent_ns(slot), slot.moved_at_ns) + handover_timeout_ns
    return slot_oldest_sent_ns(slot) + patience_ns(slot.seen_turn_ns, handover_timeout_ns)


cdef inline bint slot_is_receiver(const WorkerSlot *slot, int64_t moved_after_ns) noexcept nogil:
    """Whether a worker will take at once what others did not: nothing waits for it, and it is idle or just moved."""
    return slot_untaken(slot) == 0 and (slot.seen_busy == 0 or slot.moved_at_ns > moved_after_ns)
