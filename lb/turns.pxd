# Owns the estimate of how long a worker usually lets a connection lie unread: an app whose every turn is long is busy,
# and not stuck. Pure. Runs in the dispatcher process, once per connection of a Node worker, and in Python workers, once
# per turn in which they take, which say it on their page; turns.pyx lets tests call it.

from libc.stdint cimport int64_t

cdef enum:
    # How the estimate follows the turns: up to the length that four of five do not exceed
    TURN_RISE = 4             # a part of itself ...
    TURN_FALL = 16
    LEAST_RISE_NS = 100_000   # ... or this
    LONGEST_TURNS = 5         # hand-over timeouts that it may be
    TURNS_OF_PATIENCE = 2     # a connection that waits for longer is not just waiting for its turn
    LONG_TURN_NS = 1_000_000  # whose turns take longer gets one at a time: a second one would wait for two of them


cdef inline int64_t turn_seen(int64_t usual_ns, int64_t length_ns, int64_t handover_timeout_ns) noexcept nogil:
    """Return how long a worker's turns usually are, after one of `length_ns`; `usual_ns`: what it was before."""
    cdef int64_t risen_ns = usual_ns + max(usual_ns // TURN_RISE, <int64_t>LEAST_RISE_NS)
    if length_ns > usual_ns:
        return min(min(length_ns, risen_ns), handover_timeout_ns * LONGEST_TURNS)
    return max(length_ns, usual_ns - usual_ns // TURN_FALL)


cdef inline int64_t patience_ns(int64_t usual_ns, int64_t handover_timeout_ns) noexcept nogil:
    """Return how long a connection may lie unread in the channel of a worker whose turns usually take `usual_ns`."""
    return max(handover_timeout_ns, min(usual_ns, handover_timeout_ns * LONGEST_TURNS) * TURNS_OF_PATIENCE)
