# Owns the messages between supervisor and dispatcher: two fixed structs on a SEQPACKET socketpair, one
# message each, descriptors as SCM_RIGHTS. Commands are idempotent: the same one twice changes nothing.

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef enum:
    COMMAND_MAGIC = 0x314D4C46  # "FLM1"
    MAX_COMMAND_FDS = 4

cdef enum CommandKind:
    # kind                      fds                                        fields
    COMMAND_CONFIGURE = 1     # dispatcher page, wake-up eventfd           epoch (token), policy (flags), time-out
    COMMAND_ADD_LISTENER = 2  # listening socket                           slot = listener id
    COMMAND_REMOVE_LISTENER = 3  # -                                       slot = listener id
    COMMAND_ADD_WORKER = 4    # our channel end, duplicate of the worker's end, pidfd, worker page
    #                                                                      slot, token = incarnation, credit, capacity,
    #                                                                      max_connections, hash key (flags)
    COMMAND_ADMIT = 5         # -                                          slot, token
    COMMAND_DRAIN = 6         # -                                          slot, token
    COMMAND_REMOVE = 7        # -                                          slot, token
    COMMAND_PAUSE = 8         # stop accepting                             -
    COMMAND_RESUME = 9        # accept again                               -
    COMMAND_SET_POLICY = 10   # -                                          policy (flags)
    COMMAND_PING = 11         # -                                          token, comes back in PONG
    COMMAND_QUIT = 12         # stop accepting, hand over what is held, exit 0

cdef struct Command:
    uint32_t magic
    uint32_t kind
    uint64_t token
    uint32_t slot
    uint32_t flags
    uint32_t credit             # most untaken connections; 0 means 1
    uint32_t capacity           # most busy connections; 0 = unbounded
    uint32_t max_connections    # most open connections; 0 = unbounded
    uint32_t reserved
    int64_t handover_timeout_ns
    uint64_t reserved1[2]

cdef enum EventKind:
    EVENT_CONFIGURED = 1       # answer to CONFIGURE
    EVENT_PONG = 2             # token as in PING
    EVENT_WORKER_DIED = 3      # slot, token: its pidfd fired; value = connections taken back
    EVENT_CHANNEL_CLOSED = 4   # slot, token: the worker's channel is broken; error = errno; out of the policy
    EVENT_DRAINED = 5          # slot, token: its queue is empty; value = connections taken back
    EVENT_LISTENER_ERROR = 6   # slot = listener id, error = errno, value = errors since the last report (at most 1/s)
    EVENT_REJECTED = 7         # a command was malformed or impossible: slot, token, error, value = its kind

cdef struct Event:
    uint32_t magic
    uint32_t kind
    uint64_t token
    uint32_t slot
    int32_t error
    int64_t value
    uint64_t reserved[4]
