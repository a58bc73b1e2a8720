# Owns the choice of a worker: pure functions over a table of candidates, no system call, no clock, no page. Runs in the
# dispatcher process, once per connection; policy.pyx lets tests and benchmarks call the same code. PolicyKind is the
# one declaration of the policies: command.Policy derives from it, and what the supervisor calls them from that.
#
# The table is made anew from the slots at every turn of the loop (state.pxd) and counted down while connections are
# given: CANDIDATE_BYTES a worker, scanned in order. Which listeners a worker serves differs among Node workers only.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from fastlb.lb.connection cimport ConnectionRecord
from fastlb.lb.page cimport MAX_SLOTS
from fastlb.lb.posix cimport AF_INET, AF_INET6

cdef enum PolicyKind:
    POLICY_ROUND_ROBIN = 0
    POLICY_LEAST_CONNECTIONS = 1
    POLICY_IP_HASH = 2
    POLICY_STICKY = 3
    POLICY_COUNT = 4

cdef enum:
    NOBODY = -1
    CANDIDATE_BYTES = 32  # two in a cache line; policy.pyx checks it
    # Under ip-hash and sticky so many connections may wait for a client's own worker before they go to another
    STICKY_CREDIT = 128

cdef struct Candidate:
    uint64_t hash_seed  # the worker's identity, mixed once
    uint64_t serves     # bit i: it may get connections of listener i
    uint32_t slot
    uint32_t room       # connections that it may be sent now
    uint32_t open       # connections that it has or has been sent
    uint8_t receiver    # may be given what others did not take
    uint8_t overdue     # has not taken what it was sent
    uint8_t slow        # has left something waiting that cannot be taken back: the last choice
    uint8_t waiting_place  # has no room, and one connection may wait for it all the same

cdef struct CandidateTable:
    uint32_t count
    uint32_t with_room      # of these, how many have room
    uint32_t cursor         # index where round-robin looks first
    Candidate candidates[MAX_SLOTS]


cdef inline uint64_t mix(uint64_t value) noexcept nogil:
    """Spread every bit over all (the finalizer of splitmix64: Steele, Lea, Flood, OOPSLA 2014)."""
    value = (value ^ (value >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    value = (value ^ (value >> 27)) * <uint64_t>0x94D049BB133111EB
    return value ^ (value >> 31)


cdef inline uint64_t hash_seed_of(uint32_t hash_key) noexcept nogil:
    return mix(hash_key + <uint64_t>0x9E3779B97F4A7C15)


cdef inline uint64_t hash_bytes(const uint8_t *data, int length) noexcept nogil:
    cdef uint64_t folded = <uint64_t>length
    for i in range(length):
        folded = mix(folded ^ (<uint64_t>data[i] << 56) ^ (folded >> 8))
    return folded


cdef inline bint is_mapped_ipv4(const uint8_t *address) noexcept nogil:
    cdef uint8_t leading = 0
    for i in range(10):
        leading |= address[i]
    return leading == 0 and address[10] == 0xFF and address[11] == 0xFF


cdef inline uint64_t address_hash(const ConnectionRecord *record) noexcept nogil:
    """Hash the client's address, not its port; the same for an IPv4 client on a dual-stack listener."""
    if record.family == AF_INET:
        return hash_bytes(record.address, 4)
    if is_mapped_ipv4(record.address):
        return hash_bytes(record.address + 12, 4)
    return hash_bytes(record.address, 16)


cdef inline uint64_t listener_bit(uint32_t listener_id) noexcept nogil:
    """Return the bit of a listener in `serves`; a record's listener_id is below MAX_LISTENERS."""
    return <uint64_t>1 << (listener_id & 63)


cdef inline bint is_able(const Candidate *candidate, uint64_t listener) noexcept nogil:
    """Whether a candidate may be sent a connection of the listener with this bit."""
    return candidate.room > 0 and candidate.serves & listener != 0


cdef inline int32_t choose_round_robin(const CandidateTable *table, uint64_t listener) noexcept nogil:
    """Return the next candidate with room, from the cursor on; a slow one only when there is no other."""
    cdef int32_t slow = NOBODY
    cdef uint32_t index = table.cursor
    for _ in range(table.count):
        if index >= table.count:
            index = 0
        if is_able(&table.candidates[index], listener):
            if not table.candidates[index].slow:
                return <int32_t>index
            if slow == NOBODY:
                slow = <int32_t>index
        index += 1
    return slow


cdef inline bint has_less(const Candidate *one, const Candidate *other) noexcept nogil:
    if one.slow != other.slow:
        return other.slow
    return one.open < other.open


cdef inline int32_t choose_least_connections(const CandidateTable *table, uint64_t listener) noexcept nogil:
    """Return the candidate with room that has the fewest open; equal ones take turns, slow ones come last."""
    cdef int32_t best = NOBODY
    cdef uint32_t index = table.cursor
    for _ in range(table.count):
        if index >= table.count:
            index = 0
        if is_able(&table.candidates[index], listener) and (
            best == NOBODY or has_less(&table.candidates[index], &table.candidates[best])
        ):
            best = <int32_t>index
        index += 1
    return best


cdef inline int32_t choose_ip_hash(
    const CandidateTable *table, uint64_t listener, uint64_t client, bint *unsticky
) noexcept nogil:
    """Return the client's own worker, or the next in the client's order with room (then `unsticky` is set).

    Rendezvous hashing: each worker draws a weight for the client and the highest wins, so a worker that
    goes takes along only its own clients (Thaler, Ravishankar: "A name-based mapping scheme", 1996).
    """
    cdef int32_t best = NOBODY
    cdef uint64_t best_weight = 0, own_weight = 0, weight
    for index in range(<int32_t>table.count):
        if not table.candidates[index].serves & listener:
            continue
        weight = mix(client ^ table.candidates[index].hash_seed)
        own_weight = max(own_weight, weight)
        if table.candidates[index].room and (best == NOBODY or weight > best_weight):
            best = index
            best_weight = weight
    unsticky[0] = best != NOBODY and best_weight < own_weight
    return best


cdef inline int32_t choose_sticky(
    const CandidateTable *table, uint64_t listener, uint64_t client, bint *unsticky
) noexcept nogil:
    """Return the own worker of a client that is known by something, as choose_ip_hash does; else (0) the least busy."""
    unsticky[0] = False
    if client == 0:
        return choose_least_connections(table, listener)
    return choose_ip_hash(table, listener, client, unsticky)


cdef inline bint keeps_clients(uint32_t policy) noexcept nogil:
    """Whether by this policy a client waits for a worker of its own."""
    return policy == POLICY_IP_HASH or policy == POLICY_STICKY


cdef inline bint rescues_better(const Candidate *one, const Candidate *other) noexcept nogil:
    if one.receiver != other.receiver:
        return one.receiver
    return has_less(one, other)


cdef inline int32_t choose_rescuer(const CandidateTable *table, uint64_t listener) noexcept nogil:
    """Return who gets a connection that its worker did not take: a receiver if possible, never an overdue worker."""
    cdef int32_t best = NOBODY
    cdef const Candidate *one
    for index in range(<int32_t>table.count):
        one = &table.candidates[index]
        if not is_able(one, listener) or one.overdue:
            continue
        if best == NOBODY or rescues_better(one, &table.candidates[best]):
            best = index
    return best


cdef inline int32_t choose(
    const CandidateTable *table, uint32_t policy, const ConnectionRecord *record, bint *unsticky
) noexcept nogil:
    """Return the index of the candidate that gets this connection, or NOBODY."""
    cdef uint64_t listener = listener_bit(record.listener_id)
    unsticky[0] = False
    if policy == POLICY_ROUND_ROBIN:
        return choose_round_robin(table, listener)
    # A client on a unix socket has no address: by ip-hash all of them would be one client.
    if policy == POLICY_IP_HASH and (record.family == AF_INET or record.family == AF_INET6):
        return choose_ip_hash(table, listener, address_hash(record), unsticky)
    return choose_least_connections(table, listener)


cdef inline void candidate_charge(CandidateTable *table, int32_t index) noexcept nogil:
    """Count one connection given to a candidate; the next search begins behind it."""
    cdef Candidate *chosen = &table.candidates[index]
    chosen.room -= 1
    chosen.open += 1
    table.with_room -= chosen.room == 0
    table.cursor = <uint32_t>index + 1


cdef inline void open_waiting_places(CandidateTable *table) noexcept nogil:
    """Give each candidate without room that has a waiting place room for one: to be called when no one has room."""
    for i in range(table.count):
        if table.candidates[i].waiting_place and table.candidates[i].room == 0:
            table.candidates[i].waiting_place = False
            table.candidates[i].room = 1
            table.with_room += 1


cdef inline void candidate_close(CandidateTable *table, int32_t index) noexcept nogil:
    """Give a candidate nothing more in this turn."""
    table.with_room -= table.candidates[index].room != 0
    table.candidates[index].room = 0
    table.candidates[index].waiting_place = False
