# Owns the held queue: connections that the dispatcher owns and has not handed over, oldest first: taken back from a
# worker, or refused by a channel. Runs in the dispatcher process. Held connections go before new ones, so the queue is
# usually empty.

from libc.stdint cimport uint32_t

from fastlb.lb.connection cimport ConnectionRecord
from fastlb.lb.descriptors cimport invariant

cdef enum:
    HELD_CAPACITY = 1024  # a power of two; when full, connections stay in their channel or in the backlog

cdef struct Connection:
    int fd
    ConnectionRecord record
    bint rescued  # taken back from a live worker: it goes to one that will take it at once

cdef struct HeldQueue:
    uint32_t first
    uint32_t count
    uint32_t reserved     # places for openings (opening/table.pxd), for when they are whole
    Connection ring[HELD_CAPACITY]


cdef inline uint32_t held_room(const HeldQueue *held) noexcept nogil:
    """Return how many more connections can be held."""
    return HELD_CAPACITY - held.count - held.reserved


cdef inline Connection *held_push(HeldQueue *held) noexcept nogil:
    """Return a new last place in the queue, for the caller to fill."""
    invariant(held.count < HELD_CAPACITY)
    held.count += 1
    return &held.ring[(held.first + held.count - 1) % HELD_CAPACITY]


cdef inline Connection *held_push_first(HeldQueue *held) noexcept nogil:
    """Return a new first place in the queue, for the caller to fill: for a connection whose turn it was already."""
    invariant(held.count < HELD_CAPACITY)
    held.first = (held.first + HELD_CAPACITY - 1) % HELD_CAPACITY
    held.count += 1
    return &held.ring[held.first]


cdef inline Connection *held_first(HeldQueue *held) noexcept nogil:
    """Return the oldest connection; the queue must not be empty."""
    return &held.ring[held.first]


cdef inline void held_drop_first(HeldQueue *held) noexcept nogil:
    """Forget the first connection: its descriptor has another owner now."""
    held.first = (held.first + 1) % HELD_CAPACITY
    held.count -= 1
