# Owns the layout of a message on a connection channel, and what a position is. A message is one header, then `count`
# records, with `count` descriptors as SCM_RIGHTS, record i belonging to descriptor i. A dispatcher writes messages, a
# worker reads them; a message that is taken back is read by a dispatcher. The channel is SEQPACKET, so exactly one
# reader takes a message, whole.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    CONNECTION_MAGIC = 0x31434C46  # "FLC1", little endian
    CONNECTIONS_PER_MESSAGE = 16
    # position = epoch << POSITION_EPOCH_SHIFT | cumulative connections sent to this worker incarnation
    POSITION_EPOCH_SHIFT = 40
    MAX_CREDIT = 128  # most untaken connections of a worker, whatever its bounds say

cdef struct ConnectionRecord:
    int64_t accepted_at_ns  # CLOCK_MONOTONIC
    uint32_t listener_id
    uint32_t scope_id       # IPv6 only, host byte order
    uint16_t family         # AF_INET, AF_INET6 or AF_UNIX
    uint16_t port           # peer's port, host byte order; 0 for AF_UNIX
    uint32_t hops           # how often the connection was taken back from a live worker
    uint8_t address[16]     # peer's address in network byte order: 4 bytes (AF_INET), 16 (AF_INET6), 0 (AF_UNIX)

cdef struct ConnectionMessage:
    uint32_t magic
    uint32_t count          # 1..CONNECTIONS_PER_MESSAGE
    uint64_t position       # of the last connection in this message
    ConnectionRecord records[CONNECTIONS_PER_MESSAGE]

cdef enum:
    CONNECTION_HEADER_BYTES = 16
    CONNECTION_RECORD_BYTES = 40


cdef inline uint64_t position_of(uint64_t epoch, uint64_t sent) noexcept nogil:
    """Return the position of the last of `sent` connections that a dispatcher of this epoch has sent to a worker."""
    return epoch << POSITION_EPOCH_SHIFT | sent


cdef inline uint64_t position_epoch(uint64_t position) noexcept nogil:
    """Return the epoch of the dispatcher that sent the connection at this position."""
    return position >> POSITION_EPOCH_SHIFT


cdef inline uint64_t position_sent(uint64_t position) noexcept nogil:
    """Return how many connections the dispatcher of the position's epoch had sent to the worker by then."""
    return position & ((<uint64_t>1 << POSITION_EPOCH_SHIFT) - 1)
