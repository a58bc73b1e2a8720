# Owns the held queue: connections that the dispatcher owns and has not handed over, oldest first. They go
# before new ones, so it is short-lived: what a worker gave back, or what a channel did not take.

from libc.stdint cimport uint32_t

from fastlb.lb.connection cimport ConnectionRecord
from fastlb.lb.descriptors cimport invariant

cdef enum:
    HELD_CAPACITY = 1024  # a power of two; when full, connections stay in their channel or in the backlog

cdef struct Connection:
    int fd
    ConnectionRecord record

cdef struct HeldQueue:
    uint32_t first
    uint32_t count
    Connection ring[HELD_CAPACITY]


cdef inline uint32_t held_room(const HeldQueue *held) noexcept nogil:
    return HELD_CAPACITY - held.count


cdef inline Connection *held_push(HeldQueue *held) noexcept nogil:
    """Return the new last place, for the caller to fill."""
    invariant(held.count < HELD_CAPACITY)
    held.count += 1
    return &held.ring[(held.first + held.count - 1) % HELD_CAPACITY]


cdef inline Connection *held_push_first(HeldQueue *held) noexcept nogil:
    """Return the new first place, for the caller to fill: for what was in turn already."""
    invariant(held.count < HELD_CAPACITY)
    held.first = (held.first + HELD_CAPACITY - 1) % HELD_CAPACITY
    held.count += 1
    return &held.ring[held.first]


cdef inline Connection *held_first(HeldQueue *held) noexcept nogil:
    return &held.ring[held.first]


cdef inline void held_drop_first(HeldQueue *held) noexcept nogil:
    """Forget the first: its descriptor is somebody else's now."""
    held.first = (held.first + 1) % HELD_CAPACITY
    held.count -= 1
