from enum import IntEnum
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

class EventName(IntEnum):
    CONFIGURED = 1
    PONG = 2
    WORKER_DIED = 3
    CHANNEL_CLOSED = 4
    DRAINED = 5
    LISTENER_ERROR = 6
    REJECTED = 7

class DispatcherEvent(NamedTuple):
    name: EventName
    token: int
    slot: int
    error: int
    value: int

class WorkerBounds(NamedTuple):
    credit: int
    capacity: int
    max_connections: int

EVENT_BYTES: int
COMMAND_BYTES: int

def encode_configure(epoch: int, policy: int, handover_timeout_ns: int) -> bytes: ...
def encode_add_worker(
    slot: int, incarnation: int, bounds: WorkerBounds, hash_key: int | None = None
) -> bytes: ...
def encode_command(name: CommandName, slot: int = 0, token: int = 0, flags: int = 0) -> bytes: ...
def decode_event(data: bytes) -> DispatcherEvent: ...
