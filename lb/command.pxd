# Owns the messages between supervisor and dispatcher: a fixed struct each way on a SEQPACKET socketpair, one message
# each, descriptors as SCM_RIGHTS; behind the struct of SEND, EXPECT_OPENING and WORKER_MESSAGE comes text. Both ends
# are of one release, so any release may change the layout. Commands are idempotent: the same one twice changes
# nothing (but SEND, which says something twice).
#
# What a message is about stands in its head; what else its kind has stands in the member of `fields` that names the
# kind. A field means one thing, and a field that the kind does not have is 0.

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef enum:
    COMMAND_MAGIC = 0x354D4C46  # "FLM5"
    # A line for a Node worker. The kernel queues so much whole or not at all (a stream socket's message up to
    # 32 KiB is one buffer), so a dispatcher that dies never leaves half a line.
    LONGEST_SEND_BYTES = 16384
    # Text in one WORKER_MESSAGE; a longer line comes in several.
    MESSAGE_PART_BYTES = 32768

# With the descriptors that come along. A command about a worker is for the incarnation that it names, never for another
# one in the same slot.
cdef enum CommandKind:
    COMMAND_CONFIGURE = 1        # dispatcher page
    COMMAND_ADD_LISTENER = 2     # the listening socket
    COMMAND_REMOVE_LISTENER = 3
    COMMAND_ADD_WORKER = 4       # our end of its channel, a duplicate of the worker's end, pidfd, its page, its eventfd
    COMMAND_ADD_NODE_WORKER = 5  # our end of its IPC channel, its /proc/PID/fd, pidfd, a duplicate of its end or none
    COMMAND_ADMIT = 6            # a worker: into the policy
    COMMAND_DRAIN = 7            # a worker: out of the policy, and told that nothing more comes
    COMMAND_REMOVE = 8           # a worker that has exited
    COMMAND_PAUSE = 9            # stop accepting
    COMMAND_RESUME = 10          # accept again
    COMMAND_SET_POLICY = 11
    COMMAND_PING = 12
    COMMAND_QUIT = 13            # stop accepting, hand over what is held, exit 0
    COMMAND_SEND = 14            # a Node worker: write it a line, the text; a socket that goes along, or none
    COMMAND_SERVE = 15           # a Node worker: whose connections it may get
    COMMAND_PROBE = 16           # a Node worker: ask it for a sign of life
    COMMAND_WITHDRAW = 17        # a worker: out of the policy, told nothing, until ADMIT
    COMMAND_EXPECT_OPENING = 18  # what comes first on every connection; the text: structs Network, name of a cookie

# When a Node worker that is drained is told to disconnect
cdef enum DrainWordKind:
    DRAIN_TELL_NOW = 0
    DRAIN_TELL_NEVER = 1  # it leaves by itself
    DRAIN_TELL_LATER = 2  # by another DRAIN

# What a successor must know of a Node worker's channel (DispatcherSlotRow.history, NodeWorkerFields.history)
cdef enum NodeHistory:
    NODE_HISTORY_MID_LINE = 1      # the begin of a line was read: drop its rest
    NODE_HISTORY_DISCONNECTED = 2  # it was told to disconnect: never twice

cdef struct ConfigureFields:
    uint64_t epoch
    int64_t handover_timeout_ns
    uint32_t policy            # PolicyKind

cdef struct ListenerFields:
    uint32_t listener_id
    uint32_t key               # ADD_LISTENER: by which Node workers know it
    uint32_t refuses           # ADD_LISTENER: 1 = every connection is reset at once

cdef struct WorkerFields:
    uint32_t hash_key          # what ip-hash knows the worker by
    uint32_t credit            # most untaken connections; 0 means 1
    uint32_t capacity          # most busy connections; 0 = unbounded
    uint32_t max_connections   # most open connections; 0 = unbounded

cdef struct NodeWorkerFields:
    WorkerFields worker
    uint64_t listeners         # bit i: it may get connections of listener i
    uint32_t unanswered        # handles sent by predecessors and not answered yet
    uint32_t history           # NodeHistory

cdef struct OpeningFields:
    int64_t proxy_timeout_ns   # for a whole PROXY header, from the accept on; 0 = none comes
    int64_t head_timeout_ns    # for the head of the first request; 0 = it is not looked at
    uint32_t networks          # who is believed: proxies
    uint32_t unix_peers        # 1 = and who comes by a unix socket
    uint32_t cookie_bytes      # by the value of this cookie clients are known under `sticky`; 0 = by none

cdef union CommandFields:
    ConfigureFields configure      # CONFIGURE
    ListenerFields listener        # ADD_LISTENER, REMOVE_LISTENER
    WorkerFields worker            # ADD_WORKER
    NodeWorkerFields node_worker   # ADD_NODE_WORKER
    uint32_t baseline              # ADMIT, of a Node worker: open descriptors that are no connections
    uint32_t drain_word            # DRAIN, of a Node worker: DrainWordKind
    uint32_t policy                # SET_POLICY: PolicyKind
    uint64_t ping_token            # PING: comes back in PONG
    uint64_t listeners             # SERVE: bit i: it may get connections of listener i
    OpeningFields opening          # EXPECT_OPENING

cdef struct Command:
    uint32_t magic
    uint32_t kind              # CommandKind
    uint64_t incarnation       # of the worker that it is about
    uint32_t slot              # of the worker that it is about
    CommandFields fields

cdef enum EventKind:
    EVENT_CONFIGURED = 1       # answer to CONFIGURE
    EVENT_PONG = 2             # answer to PING
    EVENT_WORKER_DIED = 3      # a worker: its pidfd fired
    EVENT_CHANNEL_CLOSED = 4   # a worker: its channel is broken; it is out of the policy
    EVENT_DRAINED = 5          # a worker: its queue is empty
    EVENT_LISTENER_ERROR = 6   # accept4 failed; at most one a second of a listener
    EVENT_REJECTED = 7         # a command was malformed or impossible; of one about a worker with slot and incarnation
    EVENT_WORKER_MESSAGE = 8   # a Node worker: what it wrote, the text

cdef struct ListenerErrorFields:
    uint32_t listener_id
    int32_t error              # errno of the last failure
    uint64_t failures          # since the last report

cdef struct RejectedFields:
    uint32_t command           # its kind, as it came: any number
    uint32_t listener_id       # of a command about a listener
    int32_t error              # errno

cdef union EventFields:
    uint64_t epoch                      # CONFIGURED
    uint64_t ping_token                 # PONG: as in PING
    uint64_t taken_back                 # WORKER_DIED, DRAINED: connections taken out of its channel
    int32_t channel_error               # CHANNEL_CLOSED: errno; of a Node worker 0 = it has closed its channel,
    #                                     EMSGSIZE = it wrote a line above 1 MiB
    ListenerErrorFields listener_error  # LISTENER_ERROR
    RejectedFields rejected             # REJECTED
    uint32_t goes_on                    # WORKER_MESSAGE: 1 = the line goes on in the next one

cdef struct Event:
    uint32_t magic
    uint32_t kind              # EventKind
    uint64_t incarnation       # of the worker that it is about
    uint32_t slot              # of the worker that it is about
    EventFields fields
