"""The supervisor's face of the dispatcher's control channel: encode commands, decode events. No I/O.

Runs in the supervisor and in tests. The dispatcher reads and writes the structs of command.pxd directly.
"""

from enum import IntEnum, IntFlag
from typing import NamedTuple

from libc.string cimport memcpy, memset


class Policy(IntEnum):
    """How the dispatcher chooses a worker; the order is that of policy.pxd."""

    ROUND_ROBIN = 0
    LEAST_CONNECTIONS = 1
    IP_HASH = 2


class CommandName(IntEnum):
    """What a supervisor may ask of its dispatcher (fields and descriptors: command.pxd)."""

    CONFIGURE = COMMAND_CONFIGURE
    ADD_LISTENER = COMMAND_ADD_LISTENER
    REMOVE_LISTENER = COMMAND_REMOVE_LISTENER
    ADD_WORKER = COMMAND_ADD_WORKER
    ADMIT = COMMAND_ADMIT
    DRAIN = COMMAND_DRAIN
    REMOVE = COMMAND_REMOVE
    PAUSE = COMMAND_PAUSE
    RESUME = COMMAND_RESUME
    SET_POLICY = COMMAND_SET_POLICY
    PING = COMMAND_PING
    QUIT = COMMAND_QUIT
    SEND = COMMAND_SEND
    SERVE = COMMAND_SERVE
    PROBE = COMMAND_PROBE


class WorkerKind(IntEnum):
    """What a worker's channel speaks: ours (connection.pxd), or Node's."""

    PYTHON = WORKER_PYTHON
    NODE = WORKER_NODE


class DrainFlag(IntFlag):
    """How a worker is drained."""

    SILENTLY = DRAIN_SILENTLY


class EventName(IntEnum):
    """What a dispatcher reports (fields: command.pxd)."""

    CONFIGURED = EVENT_CONFIGURED
    PONG = EVENT_PONG
    WORKER_DIED = EVENT_WORKER_DIED
    CHANNEL_CLOSED = EVENT_CHANNEL_CLOSED
    DRAINED = EVENT_DRAINED
    LISTENER_ERROR = EVENT_LISTENER_ERROR
    REJECTED = EVENT_REJECTED
    WORKER_MESSAGE = EVENT_WORKER_MESSAGE


class DispatcherEvent(NamedTuple):
    """One event of the dispatcher; meaning of the fields by kind: command.pxd."""

    name: EventName
    token: int
    slot: int
    error: int
    value: int
    text: bytes = b""


class WorkerBounds(NamedTuple):
    """What bounds a worker: untaken, busy and open connections; 0 = unbounded (credit: at least 1)."""

    credit: int
    capacity: int
    max_connections: int


class ChannelHistory(NamedTuple):
    """What the predecessors of a dispatcher leave behind on a Node worker's channel (read_slot has both)."""

    unanswered: int = 0
    history: int = 0


EVENT_BYTES = sizeof(Event)
LONGEST_EVENT_BYTES = sizeof(Event) + MESSAGE_PART_BYTES
COMMAND_BYTES = sizeof(Command)
MAX_LINE_BYTES = LONGEST_SEND_BYTES
EVERY_LISTENER = (1 << 64) - 1


cdef bytes _encoded(Command *command):
    command.magic = COMMAND_MAGIC
    return (<char *>command)[:sizeof(Command)]


def encode_configure(epoch, policy, long long handover_timeout_ns):
    """First command of every dispatcher. Descriptors: dispatcher page, wake-up eventfd."""
    cdef Command command
    memset(&command, 0, sizeof(command))
    command.kind = COMMAND_CONFIGURE
    command.token = epoch
    command.flags = policy
    command.handover_timeout_ns = handover_timeout_ns
    return _encoded(&command)


def encode_add_worker(slot, incarnation, bounds, hash_key=None):
    """Add a worker with a channel of ours.

    Descriptors: dispatcher's channel end, duplicate of the worker's end, pidfd, worker page.

    The dispatcher takes back whatever lies in the channel, so a successor begins with nothing untaken.
    `hash_key` is the worker's identity for ip-hash (default: the slot): pass what stays the same across
    a reload, and its clients stay with its successor.
    """
    cdef Command command
    memset(&command, 0, sizeof(command))
    command.kind = COMMAND_ADD_WORKER
    command.slot = slot
    command.token = incarnation
    command.flags = slot if hash_key is None else hash_key
    command.credit, command.capacity, command.max_connections = bounds
    return _encoded(&command)


def encode_add_node_worker(slot, incarnation, bounds, hash_key, listeners, channel_history=ChannelHistory()):
    """Add a Node worker. Descriptors: our end of its IPC channel, its /proc/PID/fd, pidfd.

    `listeners` is a mask: bit i set, it may get connections of listener i.
    """
    cdef Command command
    memset(&command, 0, sizeof(command))
    command.kind = COMMAND_ADD_WORKER
    command.worker_kind = WORKER_NODE
    command.slot = slot
    command.token = incarnation
    command.flags = hash_key
    command.listeners = listeners
    command.credit, command.capacity, command.max_connections = bounds
    command.unanswered, command.history = channel_history
    return _encoded(&command)


def encode_serve(slot, incarnation, listeners):
    """Say which listeners' connections a Node worker may get: a mask, as in encode_add_node_worker."""
    cdef Command command
    memset(&command, 0, sizeof(command))
    command.kind = COMMAND_SERVE
    command.slot = slot
    command.token = incarnation
    command.listeners = listeners
    return _encoded(&command)


def encode_send(slot, incarnation, bytes line):
    """Write a line (with its newline) to a Node worker; one descriptor may go along, and is answered for.

    Raises ValueError for a line that is empty, above MAX_LINE_BYTES, or more than one.
    """
    if not 1 < len(line) <= LONGEST_SEND_BYTES or line.find(b"\n") != len(line) - 1:
        raise ValueError(f"not one line of at most {LONGEST_SEND_BYTES} bytes: {line[:80]!r}")
    return encode_command(COMMAND_SEND, slot, incarnation) + line


def encode_command(name, slot=0, token=0, flags=0):
    """Encode any other command; ADD_LISTENER carries the listening socket."""
    cdef Command command
    memset(&command, 0, sizeof(command))
    command.kind = name
    command.slot = slot
    command.token = token
    command.flags = flags
    return _encoded(&command)


def decode_event(bytes data):
    """Return the DispatcherEvent in `data`; raises ValueError when it is not one whole, known event."""
    cdef Event event
    if len(data) < <Py_ssize_t>sizeof(Event):
        raise ValueError(f"event of {len(data)} bytes, expected {sizeof(Event)}")
    memcpy(&event, <char *>data, sizeof(Event))
    if event.magic != COMMAND_MAGIC:
        raise ValueError(f"event with magic {event.magic:#x}")
    if event.kind != EVENT_WORKER_MESSAGE and len(data) != sizeof(Event):
        raise ValueError(f"event of {len(data)} bytes, expected {sizeof(Event)}")
    text = data[sizeof(Event):]
    return DispatcherEvent(EventName(event.kind), event.token, event.slot, event.error, event.value, text)
