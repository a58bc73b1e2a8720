# Owns the judgement whether a client takes its response too slowly. Runs in Python workers. Pure: time is passed in.

from libc.stdint cimport int64_t


# How much a client has taken of all responses of its connection, and of that, what counts for the next judgement.
cdef struct Taking:
    int64_t bytes         # taken when that was looked at last ...
    double looked_at      # ... which was then, in seconds
    int64_t held_bytes    # taken while the client has held us back, since it was judged last
    double held_seconds   # how long that was


cdef inline void begin_look(Taking *taking, int64_t taken, double now) noexcept nogil:
    """The client holds us back from now on; it has taken `taken` bytes in all."""
    taking.bytes, taking.looked_at = taken, now


cdef inline bint is_too_slow(
    Taking *taking, int64_t taken, double now, double patience, double minimum_rate
) noexcept nogil:
    """Judge a client as often as it held us back for `patience` seconds in all; `minimum_rate`: bytes a second."""
    cdef bint slow
    taking.held_bytes += taken - taking.bytes
    taking.held_seconds += now - taking.looked_at
    begin_look(taking, taken, now)
    if taking.held_seconds < patience:
        return False
    slow = taking.held_bytes <= 0 or taking.held_bytes < minimum_rate * taking.held_seconds
    taking.held_bytes, taking.held_seconds = 0, 0.0
    return slow
