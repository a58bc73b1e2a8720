# Owns the messages between supervisor and dispatcher: a fixed struct each way on a SEQPACKET socketpair, one
# message each, descriptors as SCM_RIGHTS; behind the struct of SEND and WORKER_MESSAGE comes text. Commands are
# idempotent: the same one twice changes nothing (but SEND, which says something twice).

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef enum:
    COMMAND_MAGIC = 0x324D4C46  # "FLM2"
    MAX_COMMAND_FDS = 4
    # A line for a Node worker. The kernel queues so much whole or not at all (a stream socket's message up to
    # 32 KiB is one buffer), so a dispatcher that dies never leaves half a line.
    LONGEST_SEND_BYTES = 16384
    # Text in one WORKER_MESSAGE; a longer line comes in several.
    MESSAGE_PART_BYTES = 32768

cdef enum CommandKind:
    # kind                      fds                                        fields
    COMMAND_CONFIGURE = 1     # dispatcher page, wake-up eventfd           epoch (token), policy (flags), time-out
    COMMAND_ADD_LISTENER = 2  # listening socket                           slot = listener id, flags = key (Node)
    COMMAND_REMOVE_LISTENER = 3  # -                                       slot = listener id
    COMMAND_ADD_WORKER = 4    # worker_kind WORKER_PYTHON: our channel end, duplicate of the worker's end, pidfd,
    #                           worker page; WORKER_NODE: our channel end, its /proc/PID/fd, pidfd
    #                                                                      slot, token = incarnation, credit, capacity,
    #                                                                      max_connections, hash key (flags), listeners,
    #                                                                      Node: unanswered, history
    COMMAND_ADMIT = 5         # -                                          slot, token; Node: flags = open descriptors
    #                                                                      that are no connections
    COMMAND_DRAIN = 6         # -                                          slot, token; flags: DRAIN_...
    COMMAND_REMOVE = 7        # -                                          slot, token
    COMMAND_PAUSE = 8         # stop accepting                             -
    COMMAND_RESUME = 9        # accept again                               -
    COMMAND_SET_POLICY = 10   # -                                          policy (flags)
    COMMAND_PING = 11         # -                                          token, comes back in PONG
    COMMAND_QUIT = 12         # stop accepting, hand over what is held, exit 0
    COMMAND_SEND = 13         # a socket to share, or none                 slot, token; text: a line for a Node worker
    COMMAND_SERVE = 14        # -                                          slot, token, listeners that it may get
    COMMAND_PROBE = 15        # -                                          slot, token: ask for a sign of life (Node)

cdef enum:  # Command.worker_kind
    WORKER_PYTHON = 0  # a channel of connection.pxd
    WORKER_NODE = 1    # Node's own IPC channel: node_wire.pxd

cdef enum:  # Command.flags of DRAIN
    DRAIN_SILENTLY = 1  # the Node worker leaves by itself: do not tell it

# What a successor must know of a Node worker's channel (DispatcherSlotRow.history, Command.history)
cdef enum NodeHistory:
    NODE_HISTORY_MID_LINE = 1      # the begin of a line was read: drop its rest
    NODE_HISTORY_DISCONNECTED = 2  # it was told to disconnect: never twice

cdef struct Command:
    uint32_t magic
    uint32_t kind
    uint64_t token
    uint32_t slot
    uint32_t flags
    uint32_t credit             # most untaken connections; 0 means 1
    uint32_t capacity           # most busy connections; 0 = unbounded
    uint32_t max_connections    # most open connections; 0 = unbounded
    uint32_t worker_kind        # WORKER_...
    int64_t handover_timeout_ns
    uint64_t listeners          # bit i: it serves listener i
    uint32_t unanswered         # handles sent by predecessors and not answered yet
    uint32_t history            # NodeHistory

cdef enum EventKind:
    EVENT_CONFIGURED = 1       # answer to CONFIGURE
    EVENT_PONG = 2             # token as in PING
    EVENT_WORKER_DIED = 3      # slot, token: its pidfd fired; value = connections taken back
    EVENT_CHANNEL_CLOSED = 4   # slot, token: the worker's channel is broken; error = errno; out of the policy.
    #                            Node: 0 = it has closed it, EMSGSIZE = it wrote a line above 1 MiB
    EVENT_DRAINED = 5          # slot, token: its queue is empty; value = connections taken back
    EVENT_LISTENER_ERROR = 6   # slot = listener id, error = errno, value = errors since the last report (at most 1/s)
    EVENT_REJECTED = 7         # a command was malformed or impossible: slot, token, error, value = its kind
    EVENT_WORKER_MESSAGE = 8   # slot, token; text: what a Node worker wrote; value 1: the line goes on in the next one

cdef struct Event:
    uint32_t magic
    uint32_t kind
    uint64_t token
    uint32_t slot
    int32_t error
    int64_t value
    uint64_t reserved[4]
