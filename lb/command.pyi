from enum import IntEnum, IntFlag
from typing import NamedTuple

class Policy(IntEnum):
    ROUND_ROBIN = 0
    LEAST_CONNECTIONS = 1
    IP_HASH = 2

class CommandName(IntEnum):
    CONFIGURE = 1
    ADD_LISTENER = 2
    REMOVE_LISTENER = 3
    ADD_WORKER = 4
    ADMIT = 5
    DRAIN = 6
    REMOVE = 7
    PAUSE = 8
    RESUME = 9
    SET_POLICY = 10
    PING = 11
    QUIT = 12
    SEND = 13
    SERVE = 14
    PROBE = 15

class WorkerKind(IntEnum):
    PYTHON = 0
    NODE = 1

class DrainFlag(IntFlag):
    SILENTLY = 1

class EventName(IntEnum):
    CONFIGURED = 1
    PONG = 2
    WORKER_DIED = 3
    CHANNEL_CLOSED = 4
    DRAINED = 5
    LISTENER_ERROR = 6
    REJECTED = 7
    WORKER_MESSAGE = 8

class DispatcherEvent(NamedTuple):
    name: EventName
    token: int
    slot: int
    error: int
    value: int
    text: bytes = ...

class WorkerBounds(NamedTuple):
    credit: int
    capacity: int
    max_connections: int

class ChannelHistory(NamedTuple):
    unanswered: int = ...
    history: int = ...

EVENT_BYTES: int
LONGEST_EVENT_BYTES: int
COMMAND_BYTES: int
MAX_LINE_BYTES: int
EVERY_LISTENER: int

def encode_configure(epoch: int, policy: int, handover_timeout_ns: int) -> bytes: ...
def encode_add_worker(
    slot: int, incarnation: int, bounds: WorkerBounds, hash_key: int | None = None
) -> bytes: ...
def encode_add_node_worker(
    slot: int,
    incarnation: int,
    bounds: WorkerBounds,
    hash_key: int,
    listeners: int,
    channel_history: ChannelHistory = ...,
) -> bytes: ...
def encode_serve(slot: int, incarnation: int, listeners: int) -> bytes: ...
def encode_send(slot: int, incarnation: int, line: bytes) -> bytes: ...
def encode_command(name: CommandName, slot: int = 0, token: int = 0, flags: int = 0) -> bytes: ...
def decode_event(data: bytes) -> DispatcherEvent: ...
