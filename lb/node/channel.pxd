# Owns NodeChannel: what the dispatcher remembers of a Node worker's IPC channel. Runs in the dispatcher process. Makes
# no system call. A Node worker has no page of its own, so the dispatcher keeps one for it and counts there what the
# answers say (`node_count` in write.pxd): so policies and bounds count its connections as they count those of others.
#
#   a connection       PENDING_SENT ──NODE_HANDLE_ACK──► PENDING_RECEIVED ──accepted──► our copy is closed
#                        │ NODE_HANDLE_NACK                │ refused
#                        └────────── held again: another worker gets it; so it is when the worker dies ──
#   what is read       NODE_READING ◄──► NODE_PAUSED       both ── end of the channel, a fault ──► NODE_ENDED
#   what is written    NODE_WRITING ◄──► NODE_FULL         both ── an error that stays ──────────► NODE_BROKEN
#   answers owed to    STALE_AWAITED ── silence ──► STALE_PROBED ◄──► STALE_NACKED ── silence ──► none is owed any more
#   predecessors

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memmove, memset

from fastlb.lb.connection cimport MAX_CREDIT, ConnectionRecord
from fastlb.lb.descriptors cimport invariant
from fastlb.lb.page cimport WorkerPage
from fastlb.lb.turns cimport LONG_TURN_NS, patience_ns

cdef enum:
    # Numbers of expected answers that are about no connection; connections have larger ones
    NODE_MARKER = 0           # about a shared socket
    NODE_PROBE = 1
    EXPECTED_CAPACITY = 256   # a power of two; MAX_CREDIT connections and as many markers
    OUTBOX_BYTES = 32768  # two lines of LONGEST_SEND_BYTES
    OUTBOX_LINES = 64
    LONGEST_LINE_BYTES = 1 << 20
    # What one worker may send to the supervisor in a second; more is dropped
    MESSAGES_PER_SECOND = 1000
    MESSAGE_BYTES_PER_SECOND = 4 << 20
    NODE_BACKOFF_NS = 10_000_000  # after a refusal: else the connection would come back at once
    NODE_QUIET_NS = 1_000_000_000  # without an answer, after which a successor asks by a probe
    NODE_HELD_UP_NS = 1_000_000_000  # how long a worker that left a connection waiting gets one at a time

cdef enum PendingState:
    PENDING_SENT = 0
    PENDING_RECEIVED = 1  # the worker's event loop has it: only the word of the app is missing, which follows at once

cdef enum ReadingState:
    NODE_READING = 0      # whatever the worker says is read
    NODE_PAUSED = 1       # nothing for now: what was said has to find room elsewhere first
    NODE_ENDED = 2        # nothing more: the channel was read to its end, or the worker is at fault

cdef enum WritingState:
    NODE_WRITING = 0      # lines go out as they come; those in the outbox wait for answers or for `backoff_until_ns`
    NODE_FULL = 1         # the kernel takes no more: epoll tells when there is room
    NODE_BROKEN = 2       # no write succeeds any more; what is left to read is still read

# How far we are with the answers that a worker owes to predecessors (`stale_answers`)
cdef enum StaleState:
    STALE_AWAITED = 0     # they should come by themselves
    STALE_PROBED = 1      # they did not come for a while: a probe was sent
    STALE_NACKED = 2      # the last answer since the probe was NODE_HANDLE_NACK, as that to a probe is

# A connection that the worker has not accepted yet; the descriptor is our copy, the worker has or will have another.
cdef struct PendingConnection:
    uint64_t number
    uint64_t begins_at  # its line, in all that was `written`
    int64_t sent_at_ns
    int fd
    PendingState state
    ConnectionRecord record

# A line that is to be written and was not taken by the channel yet.
cdef struct OutboxLine:
    uint32_t length
    int fd             # goes along and is closed then; -1: none
    bint is_answered   # by NODE_HANDLE_ACK or NODE_HANDLE_NACK

cdef struct MessageCount:
    uint32_t messages
    uint32_t length_bytes

cdef struct MessageRate:
    int64_t second_began_ns
    MessageCount internal    # of Node itself in this second, and of apps that are ready
    MessageCount of_the_app

cdef struct NodeChannel:
    WorkerPage page
    int descriptors_fd        # /proc/PID/fd of the worker: its size is the number of open ones
    uint64_t baseline         # open descriptors that are no connections, counted when it was admitted
    uint64_t accepted         # connections
    uint64_t last_number      # of a connection: epoch << 32 | n, so that answers to a predecessor mean nothing
    uint64_t stale_answers    # owed to earlier dispatchers, and ours behind them: until 0 no connection is sent
    StaleState stale
    int64_t answered_at_ns    # when the last answer came; what else the app says is none
    int64_t backoff_until_ns
    ReadingState reading
    WritingState writing
    uint64_t written          # bytes, by this dispatcher
    uint64_t others_end       # of these, up to where something else than connections was written
    int64_t held_up_until_ns  # a connection was taken back from it not long ago
    int64_t turn_ns           # it usually reads the next connection within this (turns.pxd)
    bint polled               # epoll watches the channel
    uint32_t answers          # answers that are read, and not counted in our page yet
    uint32_t forwarded        # bytes of the first unread line that the supervisor has
    MessageRate rate
    # connections, oldest first; those that are not received count as untaken
    uint32_t received_count
    uint32_t pending_count
    PendingConnection pending[MAX_CREDIT]
    # numbers (or NODE_MARKER, NODE_PROBE) of the handles that are not answered for, in the order of sending
    uint32_t expected_first
    uint32_t expected_count
    uint64_t expected[EXPECTED_CAPACITY]
    uint32_t probes            # of these, how many are NODE_PROBE
    # the begin of a line whose end is not there yet
    char *part                # LONGEST_LINE_BYTES, or NULL
    uint32_t part_length
    bint dropping             # up to the next newline: a predecessor has read the begin
    # lines that wait for room, oldest first, packed
    uint32_t outbox_lines
    uint32_t outbox_bytes
    OutboxLine outbox[OUTBOX_LINES]
    char outbox_text[OUTBOX_BYTES]


cdef inline bint node_may_be_sent(const NodeChannel *node, int64_t now_ns) noexcept nogil:
    """Whether connections may be written to the channel now, whatever the worker's bounds say."""
    return (
        node.reading != NODE_ENDED and node.writing != NODE_BROKEN and node.stale_answers == 0
        and node.outbox_lines == 0 and node.backoff_until_ns <= now_ns and not owes_a_probe(node)
    )


cdef inline uint64_t node_taken(const NodeChannel *node) noexcept nogil:
    """Return how many connections the worker took: those that it has received and not accepted yet are open, too."""
    return node.accepted + node.received_count


cdef inline uint32_t node_places(const NodeChannel *node, bint keeps_clients, int64_t now_ns) noexcept nogil:
    """Return how many more connections can be remembered: all places fill when a worker never answers for any.

    One that was held up not long ago, or takes long for each, is sent one at a time, whatever its credit; not where
    clients wait for a worker of their own (`keeps_clients`): there the second one would go to another.
    """
    cdef uint32_t places = min(MAX_CREDIT - node.pending_count, EXPECTED_CAPACITY - node.expected_count)
    if not keeps_clients and (node.held_up_until_ns > now_ns or node.turn_ns > LONG_TURN_NS):
        return min(places, <uint32_t>(node.pending_count == node.received_count))
    return places


cdef inline bint node_is_slow(const NodeChannel *node, int64_t handover_timeout_ns, int64_t now_ns) noexcept nogil:
    """Whether a worker has left a connection waiting for so long that another worker is the better choice."""
    cdef uint32_t i
    for i in range(node.pending_count):
        if node.pending[i].state == PENDING_SENT:
            return node.pending[i].sent_at_ns + patience_ns(node.turn_ns, handover_timeout_ns) <= now_ns
    return False


cdef inline void expect_answer(NodeChannel *node, uint64_t number) noexcept nogil:
    """Remember that the message that was just written will be answered."""
    node.probes += number == NODE_PROBE
    if node.stale_answers:  # answers come in the order of sending; of those before we know only how many they are
        node.stale_answers += 1
        return
    invariant(node.expected_count < EXPECTED_CAPACITY)
    node.expected[(node.expected_first + node.expected_count) % EXPECTED_CAPACITY] = number
    node.expected_count += 1


cdef inline uint64_t next_answered(NodeChannel *node) noexcept nogil:
    """Return the number that an answer is about, which is expected no more; NODE_MARKER also when none was expected."""
    cdef uint64_t number
    if node.expected_count == 0:
        return NODE_MARKER
    number = node.expected[node.expected_first]
    node.expected_first = (node.expected_first + 1) % EXPECTED_CAPACITY
    node.expected_count -= 1
    node.probes -= number == NODE_PROBE
    return number


cdef inline void forget_answer(NodeChannel *node, uint64_t number) noexcept nogil:
    """Expect no answer about the connection of this number: the worker has not read of it, and never will."""
    cdef uint32_t i, place, kept = 0
    for i in range(node.expected_count):
        place = (node.expected_first + i) % EXPECTED_CAPACITY
        if node.expected[place] == number:
            continue
        node.expected[(node.expected_first + kept) % EXPECTED_CAPACITY] = node.expected[place]
        kept += 1
    node.expected_count = kept


cdef inline void stale_answered(NodeChannel *node, bint missed) noexcept nogil:
    """Note one of the answers that are owed to predecessors, or to us behind those.

    No answer says what it is about: a predecessor's probe is answered like ours, and so is a connection for which the
    worker had no descriptor left. So only their number counts, or that none follows (`stale_settled`).
    """
    node.stale_answers -= 1
    if node.stale != STALE_AWAITED:
        node.stale = STALE_NACKED if missed else STALE_PROBED
    if node.stale_answers == 0:
        node.probes = 0


cdef inline uint64_t stale_settled(NodeChannel *node) noexcept nogil:
    """Await no stale answers any more, because none followed that to our probe; return how many never came."""
    cdef uint64_t missing = node.stale_answers
    node.stale_answers = node.probes = 0
    return missing


cdef inline bint owes_a_probe(const NodeChannel *node) noexcept nogil:
    """Whether a probe is not answered yet. Until then no descriptor may be sent.

    A read of libuv may end with a descriptor and begin with lines before it, and Node gives the descriptor to the
    first of these lines that announces a handle (channel.onread in lib/internal/child_process.js): the probe's.
    """
    return node.probes > 0


cdef inline bint expects_probe_first(const NodeChannel *node) noexcept nogil:
    """Whether the next answer is that to a probe, which has no handle: it can only be missed, all else is made up."""
    return node.stale_answers == 0 and node.expected_count and node.expected[node.expected_first] == NODE_PROBE


cdef inline bint awaits_answers(const NodeChannel *node) noexcept nogil:
    """Whether writing goes on only after an answer, however much room there is in the channel."""
    return owes_a_probe(node) or node.stale_answers > 0 or node.expected_count == EXPECTED_CAPACITY


cdef inline PendingConnection *pending_push(NodeChannel *node) noexcept nogil:
    """Return a new last place among the pending connections, for the caller to fill."""
    invariant(node.pending_count < MAX_CREDIT)
    node.pending_count += 1
    return &node.pending[node.pending_count - 1]


cdef inline bint pending_take(NodeChannel *node, uint64_t number, PendingConnection *taken) noexcept nogil:
    """Take out the pending connection of this number; False: there is none, whatever the worker says."""
    cdef uint32_t i
    for i in range(node.pending_count):
        if node.pending[i].number != number:
            continue
        taken[0] = node.pending[i]
        node.pending_count -= 1
        node.received_count -= taken.state == PENDING_RECEIVED
        memmove(&node.pending[i], &node.pending[i + 1], (node.pending_count - i) * sizeof(PendingConnection))
        return True
    return False


cdef inline int64_t pending_received(NodeChannel *node, uint64_t number) noexcept nogil:
    """Note that the worker has received the connection of this number; return when it was sent, 0: it is none."""
    cdef uint32_t i
    for i in range(node.pending_count):
        if node.pending[i].number == number and node.pending[i].state == PENDING_SENT:
            node.pending[i].state = PENDING_RECEIVED
            node.received_count += 1
            return node.pending[i].sent_at_ns
    return 0


cdef inline bint rate_allows(MessageRate *rate, bint internal, uint32_t length, int64_t now_ns) noexcept nogil:
    """Count one message to the supervisor; return whether it is within what a worker may send in a second."""
    cdef MessageCount *count = &rate.internal if internal else &rate.of_the_app
    if now_ns - rate.second_began_ns >= 1_000_000_000:
        memset(rate, 0, sizeof(rate[0]))
        rate.second_began_ns = now_ns
    if count.messages >= MESSAGES_PER_SECOND or count.length_bytes >= MESSAGE_BYTES_PER_SECOND:
        return False
    count.messages += 1
    count.length_bytes += length
    return True


cdef inline void rate_give_back(MessageRate *rate, bint internal, uint32_t length) noexcept nogil:
    """Count the last message to the supervisor no more: it could not be sent, and is counted when it can."""
    cdef MessageCount *count = &rate.internal if internal else &rate.of_the_app
    count.messages -= 1
    count.length_bytes -= length


cdef inline bint outbox_push(
    NodeChannel *node, const char *line, uint32_t length, int fd, bint is_answered
) noexcept nogil:
    """Keep a line, and own its descriptor, until there is room in the channel; False: too much waits already."""
    if node.outbox_lines == OUTBOX_LINES or node.outbox_bytes + length > OUTBOX_BYTES:
        return False
    memmove(&node.outbox_text[node.outbox_bytes], line, length)
    node.outbox_bytes += length
    node.outbox[node.outbox_lines].length = length
    node.outbox[node.outbox_lines].fd = fd
    node.outbox[node.outbox_lines].is_answered = is_answered
    node.outbox_lines += 1
    return True


cdef inline void outbox_drop_first(NodeChannel *node) noexcept nogil:
    """Forget the oldest line that waits; its descriptor has been closed."""
    cdef uint32_t length = node.outbox[0].length
    node.outbox_lines -= 1
    node.outbox_bytes -= length
    memmove(&node.outbox[0], &node.outbox[1], node.outbox_lines * sizeof(OutboxLine))
    memmove(&node.outbox_text[0], &node.outbox_text[length], node.outbox_bytes)
