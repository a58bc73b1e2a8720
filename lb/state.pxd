# Owns the dispatcher's whole state: one struct, made once by run() and passed by pointer. Runs in the dispatcher
# process; one thread, so nothing here is locked. Two things more are allocated while it runs: a NodeChannel for each
# Node worker (workers.pxd), and a buffer while such a worker writes a line above NODE_READ_BYTES (node/read.pxd).

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from fastlb.lb.atomics cimport store_u64
from fastlb.lb.command cimport LONGEST_SEND_BYTES, Command
from fastlb.lb.connection cimport position_sent
from fastlb.lb.held cimport HeldQueue
from fastlb.lb.node.channel cimport node_is_slow, node_may_be_sent, node_places
from fastlb.lb.opening.table cimport Openings
from fastlb.lb.page cimport MAX_LISTENERS, MAX_SLOTS, SLOT_ADMITTED, DispatcherPage, DispatcherSlotRow
from fastlb.lb.policy cimport Candidate, CandidateTable, STICKY_CREDIT, hash_seed_of, keeps_clients
from fastlb.lb.slots cimport (
    WorkerSlot, slot_has_waiting_place, slot_is_receiver, slot_open, slot_overdue_at_ns, slot_refresh, slot_room,
    slot_untaken,
)

cdef enum:
    NEVER_NS = 0x7FFFFFFFFFFFFFFF  # a moment that does not come
    ACCEPTS_PER_TURN = 64       # of one listener, so that no listener starves another
    SEND_PAUSE_NS = 10_000_000
    PASS_OVER_NS = 100_000_000  # how long a stuck worker gets nothing, when its page tells nothing sooner
    MAX_HOPS = 2
    REJECTIONS_KEPT = 64
    BITMAP_WORDS = 16           # MAX_SLOTS bits
    NODE_READ_BYTES = 65536     # of one Node worker in one turn

cdef struct Listener:
    int fd                   # -1: none
    uint32_t key             # by which Node workers know it
    bint polled
    bint ready               # a connection may wait: epoll said so, or the listener was not polled since
    bint broken
    bint refuses             # every connection is reset
    bint removed             # by REMOVE_LISTENER, and not added again
    uint32_t budget          # accepts left in this turn
    int64_t paused_until_ns
    int64_t pause_ns
    int64_t reported_at_ns
    uint64_t errors_unreported
    int last_error
    bint error_pending       # LISTENER_ERROR is to be sent

# A command that could not be carried out: what EVENT_REJECTED tells of it.
cdef struct Rejection:
    uint32_t command      # its kind
    uint32_t slot         # of a command about a worker, with the incarnation
    uint64_t incarnation
    uint32_t listener_id  # of a command about a listener
    int error

# What the supervisor is to be told, in bits and counters: an event never waits for room.
cdef struct Outbox:
    bint blocked                     # the control socket takes no more: EPOLLOUT is armed
    bint configured
    bint pong
    uint64_t ping_token
    uint32_t rejections
    Rejection rejected[REJECTIONS_KEPT]
    uint32_t slot_reports            # bits set in all slots' `reports`
    uint32_t listener_reports        # listeners whose error is to be reported

# A command with the text behind it.
cdef struct CommandMessage:
    Command head
    char text[LONGEST_SEND_BYTES]

cdef struct Dispatcher:
    int epoll_fd
    int control_fd
    int timer_fd
    int descriptor_table_fd
    bint configured
    bint paused             # PAUSE came
    bint finishing          # QUIT or end of the control channel: hand over what is held, then exit
    bint control_closed     # the supervisor is gone
    bint starved            # no worker may take a connection that waits: the listeners are not polled
    bint rescue_wanted      # overdue connections, and no receiver for them
    bint retry_wanted       # a channel is to be read again when descriptors may be free
    uint32_t policy
    uint32_t admitted
    uint32_t channels_to_empty  # slots whose channel is to be read empty
    uint32_t removing       # slots that are to be freed when their channel is empty
    uint32_t node_workers   # slots of Node workers
    uint32_t nodes_paused   # of these, how many are not read because what they say has nowhere to go
    uint32_t held_passed    # held connections for which there was no worker in this turn; they do not stop the others
    uint32_t held_unserved  # of these, those that no admitted worker may get
    uint32_t slots_end      # every slot in use is below
    uint32_t listeners_end  # every listener in use is below
    uint32_t first_listener  # whose turn it is to be first
    uint64_t epoch
    int64_t handover_timeout_ns
    int64_t now_ns          # begin of this turn
    int64_t send_paused_until_ns
    int64_t timer_at_ns     # when the timer fires; 0: it is not armed
    int64_t orphaned_until_ns  # without a supervisor: when Node workers that have not finished are ended
    DispatcherPage *page    # private_page until CONFIGURE
    DispatcherPage private_page
    CandidateTable table
    HeldQueue held
    Openings openings
    Outbox outbox
    uint64_t staged[BITMAP_WORDS]       # slots with a message in the making
    uint64_t outstanding[BITMAP_WORDS]  # slots with untaken connections
    uint64_t changed[BITMAP_WORDS]      # slots whose figures in our page are out of date
    Listener listeners[MAX_LISTENERS]
    WorkerSlot slots[MAX_SLOTS]
    char node_text[NODE_READ_BYTES]  # what is being read of a Node worker
    CommandMessage command


cdef extern from *:
    """
    #define fastlb_lowest_bit(word) ((uint32_t)__builtin_ctzll(word))
    """
    uint32_t lowest_bit "fastlb_lowest_bit"(uint64_t word) noexcept nogil


cdef inline void bitmap_set(uint64_t *words, uint32_t index) noexcept nogil:
    words[index >> 6] |= <uint64_t>1 << (index & 63)


cdef inline void bitmap_clear(uint64_t *words, uint32_t index) noexcept nogil:
    words[index >> 6] &= ~(<uint64_t>1 << (index & 63))


cdef inline void count(uint64_t *counter, uint64_t change) noexcept nogil:
    """Add to a counter of our page; we are its only writer."""
    store_u64(counter, counter[0] + change)


cdef inline bint may_take(const Dispatcher *d) noexcept nogil:
    """Whether some worker may be sent a connection now."""
    return d.table.with_room > 0 and d.now_ns >= d.send_paused_until_ns


cdef inline bint may_go_to_another(const Dispatcher *d, const WorkerSlot *slot) noexcept nogil:
    """Whether another worker may get what waits in a worker's channel.

    Under ip-hash and sticky a client waits for its own worker, as long as that is one.
    """
    if slot.state != SLOT_ADMITTED:
        return d.admitted > 0
    return d.admitted > 1 and not keeps_clients(d.policy)


cdef inline int64_t overdue_at_ns(const Dispatcher *d, const WorkerSlot *slot) noexcept nogil:
    """Return when a worker's oldest untaken message is (or was) overdue."""
    return slot_overdue_at_ns(slot, d.handover_timeout_ns)


cdef inline void slot_publish(Dispatcher *d, uint32_t index) noexcept nogil:
    """Copy a slot's figures into our page, for the supervisor and its users."""
    cdef WorkerSlot *slot = &d.slots[index]
    cdef DispatcherSlotRow *row = &d.page.slots[index]
    store_u64(&row.incarnation, slot.incarnation)
    store_u64(&row.sent, position_sent(slot.sent_position))
    store_u64(&row.taken_back, slot.taken_back)
    store_u64(&row.untaken, slot_untaken(slot))
    store_u64(&row.open, slot_open(slot))
    store_u64(&row.state, slot.state)


cdef inline void slot_mark_changed(Dispatcher *d, const WorkerSlot *slot) noexcept nogil:
    """Have a slot's figures copied into our page before the next sleep."""
    bitmap_set(d.changed, <uint32_t>(slot - d.slots))


cdef inline void publish_changed(Dispatcher *d) noexcept nogil:
    """Copy the figures of all slots that changed into our page."""
    for word in range(BITMAP_WORDS):
        while d.changed[word]:
            slot_publish(d, (<uint32_t>word << 6) + lowest_bit(d.changed[word]))
            d.changed[word] &= d.changed[word] - 1


cdef inline bint slot_look(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Read a worker's page; return whether it moved since the last look."""
    if not slot_refresh(slot, d.now_ns):
        return False
    slot_mark_changed(d, slot)
    return True


cdef inline void candidate_fill(Dispatcher *d, Candidate *candidate, uint32_t index) noexcept nogil:
    """Tell the policy what it needs to know of the worker in slot `index`."""
    cdef WorkerSlot *slot = &d.slots[index]
    cdef int64_t moved_after_ns = d.now_ns - d.handover_timeout_ns
    candidate.slot = index
    candidate.serves = slot.serves
    candidate.room = slot_room(slot, STICKY_CREDIT if keeps_clients(d.policy) else 0)
    if slot.node != NULL:
        candidate.room = min(candidate.room, node_places(slot.node, keeps_clients(d.policy), d.now_ns))
        candidate.room = candidate.room if node_may_be_sent(slot.node, d.now_ns) else 0
    candidate.slow = slot.node != NULL and node_is_slow(slot.node, d.handover_timeout_ns, d.now_ns)
    candidate.open = slot_open(slot)
    candidate.receiver = slot_is_receiver(slot, moved_after_ns)
    candidate.waiting_place = not keeps_clients(d.policy) and slot_has_waiting_place(slot, moved_after_ns)
    if slot.passed_over_until_ns > d.now_ns:
        candidate.room = 0
        candidate.waiting_place = False
    candidate.overdue = slot.messages > 0 and overdue_at_ns(d, slot) <= d.now_ns


cdef inline bint candidates_refresh(Dispatcher *d) noexcept nogil:
    """Look at the page of every admitted worker and count anew what each may be sent; return whether one moved."""
    cdef CandidateTable *table = &d.table
    cdef bint moved = False
    table.with_room = 0
    for i in range(table.count):
        moved |= slot_look(d, &d.slots[table.candidates[i].slot])
        candidate_fill(d, &table.candidates[i], table.candidates[i].slot)
        table.with_room += table.candidates[i].room > 0
    return moved


cdef inline void candidates_rebuild(Dispatcher *d) noexcept nogil:
    """List the admitted workers anew, in slot order; round-robin goes on where it was."""
    cdef CandidateTable *table = &d.table
    cdef uint32_t next_slot = 0, listed = 0
    if table.count:
        next_slot = table.candidates[table.cursor % table.count].slot
    table.cursor = 0
    for index in range(d.slots_end):
        if d.slots[index].state != SLOT_ADMITTED:
            continue
        table.cursor += index < next_slot
        d.slots[index].candidate = <int32_t>listed
        table.candidates[listed].slot = index
        table.candidates[listed].hash_seed = hash_seed_of(d.slots[index].hash_key)
        listed += 1
    table.count = listed
    d.admitted = listed
    candidates_refresh(d)


cdef inline void slot_enter(Dispatcher *d, WorkerSlot *slot, uint32_t state) noexcept nogil:
    """Put a slot into a state other than SLOT_FREE (`slot_release`), and list the admitted workers anew."""
    slot.state = state
    slot_mark_changed(d, slot)
    candidates_rebuild(d)


cdef inline void start_emptying(Dispatcher *d, WorkerSlot *slot, uint32_t announce) noexcept nogil:
    """Have a worker's channel read empty, from this turn on; then report the event `announce` (0: none)."""
    if not slot.emptying_channel:
        d.channels_to_empty += 1
        slot.emptying_channel = True
        slot.taken_back_before = slot.taken_back
    slot.announce = announce
