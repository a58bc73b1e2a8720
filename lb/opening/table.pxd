# Owns the table of openings: connections that are accepted and not handed over yet, because what must come first, such
# as a PROXY header, has not come. Bounded, in the dispatcher's state; each has a deadline. Runs in the dispatcher
# process. Makes no system call.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastlb.lb.held cimport Connection
from fastlb.lb.opening.networks cimport NetworkList
from fastlb.lb.opening.request_head cimport HeadRules

cdef enum:
    # Each has a place in the held queue too, for when it is whole; the other half is for what is taken back.
    MAX_OPENINGS = 512
    OPENING_WORDS = 8    # MAX_OPENINGS bits

cdef struct Opening:
    Connection connection
    bint awaits_head         # of its first request; before that: its PROXY header
    int64_t deadline_ns

cdef struct Openings:
    bint wanted              # something must come before a connection is handed over
    int64_t proxy_timeout_ns  # how long a PROXY header may take; 0: none comes
    int64_t head_timeout_ns  # how long the head of the first request is waited for; 0: it is not looked at
    NetworkList proxies      # who is believed
    HeadRules head_rules
    uint32_t count
    uint64_t used[OPENING_WORDS]
    Opening table[MAX_OPENINGS]


cdef extern from *:
    """
    #define fastlb_lowest_one(word) ((uint32_t)__builtin_ctzll(word))
    """
    uint32_t lowest_one "fastlb_lowest_one"(uint64_t word) noexcept nogil


cdef inline uint32_t opening_next(const Openings *openings, uint32_t index) noexcept nogil:
    """Return the first place in use from `index` on; MAX_OPENINGS: there is none."""
    cdef uint64_t rest
    while index < MAX_OPENINGS:
        rest = openings.used[index >> 6] >> (index & 63)
        if rest:
            return index + lowest_one(rest)
        index = (index | 63) + 1
    return MAX_OPENINGS


cdef inline uint32_t opening_add(Openings *openings, const Opening *opening) noexcept nogil:
    """Put an opening into a free place, of which there must be one; return the place."""
    cdef uint32_t word = 0, index
    while openings.used[word] == ~<uint64_t>0:
        word += 1
    index = (word << 6) + lowest_one(~openings.used[word])
    openings.used[word] |= <uint64_t>1 << (index & 63)
    openings.table[index] = opening[0]
    openings.count += 1
    return index


cdef inline void opening_remove(Openings *openings, uint32_t index) noexcept nogil:
    """Free a place: its connection has another owner now."""
    openings.used[index >> 6] &= ~(<uint64_t>1 << (index & 63))
    openings.count -= 1


cdef inline uint32_t opening_soonest(const Openings *openings) noexcept nogil:
    """Return the place of the opening whose deadline is first; there must be one."""
    cdef uint32_t index = opening_next(openings, 0), soonest = index
    while index < MAX_OPENINGS:
        if openings.table[index].deadline_ns < openings.table[soonest].deadline_ns:
            soonest = index
        index = opening_next(openings, index + 1)
    return soonest
