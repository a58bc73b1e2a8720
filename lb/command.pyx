"""The supervisor's face of the dispatcher's control channel: encode commands, decode events. No I/O.

Runs in the supervisor and in tests. The dispatcher reads and writes the structs of command.pxd directly.
"""

from enum import IntEnum
from typing import NamedTuple

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastlb.lb.opening.networks cimport MAX_NETWORKS, Network
from fastlb.lb.opening.request_head cimport COOKIE_NAME_BYTES
from fastlb.lb.policy cimport (
    POLICY_COUNT, POLICY_IP_HASH, POLICY_LEAST_CONNECTIONS, POLICY_ROUND_ROBIN, POLICY_STICKY,
)


class Policy(IntEnum):
    """How the dispatcher chooses a worker: PolicyKind of policy.pxd."""

    ROUND_ROBIN = POLICY_ROUND_ROBIN
    LEAST_CONNECTIONS = POLICY_LEAST_CONNECTIONS
    IP_HASH = POLICY_IP_HASH
    STICKY = POLICY_STICKY


if len(Policy) != POLICY_COUNT:
    raise ImportError(f"{len(Policy)} policies have a name, {POLICY_COUNT} exist")


class CommandName(IntEnum):
    """What a supervisor may ask of its dispatcher (fields and descriptors: command.pxd)."""

    CONFIGURE = COMMAND_CONFIGURE
    ADD_LISTENER = COMMAND_ADD_LISTENER
    REMOVE_LISTENER = COMMAND_REMOVE_LISTENER
    ADD_WORKER = COMMAND_ADD_WORKER
    ADD_NODE_WORKER = COMMAND_ADD_NODE_WORKER
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
    WITHDRAW = COMMAND_WITHDRAW
    EXPECT_OPENING = COMMAND_EXPECT_OPENING


class DrainWord(IntEnum):
    """When a Node worker that is drained is told to disconnect: DrainWordKind of command.pxd."""

    NOW = DRAIN_TELL_NOW
    NEVER = DRAIN_TELL_NEVER
    LATER = DRAIN_TELL_LATER


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
    """One event of the dispatcher. A field that its kind does not have is 0, False or empty.

    Attributes:
        slot, incarnation: the worker of WORKER_DIED, CHANNEL_CLOSED, DRAINED and WORKER_MESSAGE, or of a command
            about a worker that was REJECTED.
        listener_id: of LISTENER_ERROR, or of a command about a listener that was REJECTED.
        error: errno of CHANNEL_CLOSED, LISTENER_ERROR and REJECTED.
        epoch: of CONFIGURED.
        ping_token: of PONG, as in PING.
        taken_back: connections that were taken out of the channel before WORKER_DIED or DRAINED.
        failures: of LISTENER_ERROR, since its last report.
        command: kind of the command that was REJECTED; CommandName, unless it was malformed.
        goes_on: the line in WORKER_MESSAGE goes on in the next one.
        text: of WORKER_MESSAGE.
    """

    name: EventName
    slot: int = 0
    incarnation: int = 0
    listener_id: int = 0
    error: int = 0
    epoch: int = 0
    ping_token: int = 0
    taken_back: int = 0
    failures: int = 0
    command: int = 0
    goes_on: bool = False
    text: bytes = b""


class WorkerBounds(NamedTuple):
    """What bounds a worker: untaken, busy and open connections; 0 = unbounded (credit: at least 1)."""

    credit: int
    capacity: int
    max_connections: int


class NewWorker(NamedTuple):
    """A worker that a dispatcher is to know.

    Attributes:
        slot: its place, 0 to 1023.
        incarnation: tells it from others in the same slot.
        bounds: what it may be given.
        hash_key: what ip-hash knows it by: pass what stays the same across a reload, and its clients stay with
            its successor.
    """

    slot: int
    incarnation: int
    bounds: WorkerBounds
    hash_key: int


class ChannelHistory(NamedTuple):
    """What the predecessors of a dispatcher leave behind on a Node worker's channel (read_slot has both)."""

    unanswered: int = 0
    history: int = 0


EVENT_BYTES = sizeof(Event)
LONGEST_EVENT_BYTES = sizeof(Event) + MESSAGE_PART_BYTES
COMMAND_BYTES = sizeof(Command)
MAX_LINE_BYTES = LONGEST_SEND_BYTES
EVERY_LISTENER = (1 << 64) - 1


cdef Command command_of(CommandKind kind, uint32_t slot=0, uint64_t incarnation=0) noexcept:
    """Return a command without fields; `slot` and `incarnation` name the worker that it is about, if any."""
    cdef Command command
    memset(&command, 0, sizeof(command))
    command.magic = COMMAND_MAGIC
    command.kind = kind
    command.slot = slot
    command.incarnation = incarnation
    return command


cdef bytes encoded(const Command *command):
    return (<const char *>command)[:sizeof(Command)]


cdef int fill_worker(WorkerFields *fields, worker) except -1:
    fields.hash_key = worker.hash_key
    fields.credit, fields.capacity, fields.max_connections = worker.bounds
    return 0


def encode_configure(epoch, policy, handover_timeout_ns):
    """Encode the first command of every dispatcher. Descriptor: dispatcher page."""
    cdef Command command = command_of(COMMAND_CONFIGURE)
    command.fields.configure.epoch = epoch
    command.fields.configure.policy = policy
    command.fields.configure.handover_timeout_ns = handover_timeout_ns
    return encoded(&command)


def encode_add_listener(listener_id, key=0, refuses=False):
    """Encode "accept from this listener". Descriptor: the listening socket.

    `key`: by which Node workers know it. `refuses`: every connection is reset at once.
    """
    cdef Command command = command_of(COMMAND_ADD_LISTENER)
    command.fields.listener.listener_id = listener_id
    command.fields.listener.key = key
    command.fields.listener.refuses = refuses
    return encoded(&command)


def encode_remove_listener(listener_id):
    """Encode "accept no more from this listener"."""
    cdef Command command = command_of(COMMAND_REMOVE_LISTENER)
    command.fields.listener.listener_id = listener_id
    return encoded(&command)


def encode_add_worker(worker):
    """Encode "know this NewWorker", which has a channel of ours; it is not in the policy yet.

    Descriptors: dispatcher's channel end, duplicate of the worker's end, pidfd, worker page, the worker's wake-up
    eventfd. The dispatcher takes back whatever lies in the channel, so a successor begins with nothing untaken.
    """
    cdef Command command = command_of(COMMAND_ADD_WORKER, worker.slot, worker.incarnation)
    fill_worker(&command.fields.worker, worker)
    return encoded(&command)


def encode_add_node_worker(worker, listeners, channel_history=ChannelHistory()):
    """Encode "know this NewWorker", which is Node's. Descriptors: our end of its IPC channel, its /proc/PID/fd, pidfd.

    A duplicate of the worker's end may follow: then connections that the worker has not read of are taken back. Only
    the dispatcher may write to such a channel, and the duplicate must be closed everywhere once the worker drains.
    `listeners` is a mask: bit i set, it may get connections of listener i.
    """
    cdef Command command = command_of(COMMAND_ADD_NODE_WORKER, worker.slot, worker.incarnation)
    fill_worker(&command.fields.node_worker.worker, worker)
    command.fields.node_worker.listeners = listeners
    command.fields.node_worker.unanswered, command.fields.node_worker.history = channel_history
    return encoded(&command)


def encode_admit(slot, incarnation, baseline=0):
    """Encode "bring the worker into the policy". `baseline`: open descriptors of a Node worker, but connections."""
    cdef Command command = command_of(COMMAND_ADMIT, slot, incarnation)
    command.fields.baseline = baseline
    return encoded(&command)


def encode_withdraw(slot, incarnation):
    """Encode "take the worker out of the policy for now"; what it has not taken goes to others."""
    cdef Command command = command_of(COMMAND_WITHDRAW, slot, incarnation)
    return encoded(&command)


def encode_drain(slot, incarnation, word=DrainWord.NOW):
    """Encode "take the worker out of the policy, and tell it" - a Node worker when `word` says."""
    cdef Command command = command_of(COMMAND_DRAIN, slot, incarnation)
    command.fields.drain_word = word
    return encoded(&command)


def encode_remove(slot, incarnation):
    """Encode "forget the worker", which has exited."""
    cdef Command command = command_of(COMMAND_REMOVE, slot, incarnation)
    return encoded(&command)


def encode_pause():
    """Encode "stop accepting"."""
    cdef Command command = command_of(COMMAND_PAUSE)
    return encoded(&command)


def encode_resume():
    """Encode "accept again"."""
    cdef Command command = command_of(COMMAND_RESUME)
    return encoded(&command)


def encode_set_policy(policy):
    """Encode "choose by this policy from now on"."""
    cdef Command command = command_of(COMMAND_SET_POLICY)
    command.fields.policy = policy
    return encoded(&command)


def encode_ping(token=0):
    """Encode "answer with PONG and this token"."""
    cdef Command command = command_of(COMMAND_PING)
    command.fields.ping_token = token
    return encoded(&command)


def encode_quit():
    """Encode "stop accepting, hand over what is held, exit"."""
    cdef Command command = command_of(COMMAND_QUIT)
    return encoded(&command)


def encode_send(slot, incarnation, bytes line):
    """Encode "write this line (with its newline) to a Node worker". One descriptor may go along, and is answered for.

    Raises ValueError for a line that is empty, above MAX_LINE_BYTES, or more than one.
    """
    cdef Command command = command_of(COMMAND_SEND, slot, incarnation)
    if not 1 < len(line) <= LONGEST_SEND_BYTES or line.find(b"\n") != len(line) - 1:
        raise ValueError(f"not one line of at most {LONGEST_SEND_BYTES} bytes: {line[:80]!r}")
    return encoded(&command) + line


def encode_serve(slot, incarnation, listeners):
    """Encode which listeners' connections a Node worker may get: a mask, as in encode_add_node_worker."""
    cdef Command command = command_of(COMMAND_SERVE, slot, incarnation)
    command.fields.listeners = listeners
    return encoded(&command)


def encode_probe(slot, incarnation):
    """Encode "ask the Node worker for a sign of life, unless it owes one"."""
    cdef Command command = command_of(COMMAND_PROBE, slot, incarnation)
    return encoded(&command)


def encode_expect_opening(proxy_timeout_ns, networks, unix_peers, head_timeout_ns=0, bytes cookie=b""):
    """Encode what comes first on every connection, to be sent before the listeners.

    `proxy_timeout_ns`, `head_timeout_ns`: for a PROXY header, and for the head of the first request; 0: none is waited
    for. `networks`: who is believed: pairs of an address (16 bytes, IPv4 as ::ffff:a.b.c.d) and the bits of its prefix.
    `unix_peers`: and who comes by a unix socket. `cookie`: the name of the one that clients are known by.
    Raises ValueError for what is no network, or too much.
    """
    cdef Command command = command_of(COMMAND_EXPECT_OPENING)
    if len(cookie) > COOKIE_NAME_BYTES:
        raise ValueError(f"cookie of {len(cookie)} bytes, at most {COOKIE_NAME_BYTES}")
    command.fields.opening.proxy_timeout_ns = proxy_timeout_ns
    command.fields.opening.head_timeout_ns = head_timeout_ns
    command.fields.opening.networks = len(networks)
    command.fields.opening.unix_peers = unix_peers
    command.fields.opening.cookie_bytes = len(cookie)
    return encoded(&command) + encoded_networks(networks) + cookie


cdef bytes encoded_networks(networks):
    cdef Network network
    if len(networks) > MAX_NETWORKS:
        raise ValueError(f"{len(networks)} networks, at most {MAX_NETWORKS}")
    text = b""
    for address, bits in networks:
        if len(address) != sizeof(network.address) or not 0 <= bits <= 128:
            raise ValueError(f"no network of IPv6: {address!r}/{bits}")
        memcpy(network.address, <const char *>address, sizeof(network.address))
        network.bits = bits
        text += (<const char *>&network)[:sizeof(Network)]
    return text


cdef dict fields_of(const Event *event):
    """Return the fields of a known event that are not in its head."""
    cdef const EventFields *fields = &event.fields
    if event.kind == EVENT_CONFIGURED:
        return {"epoch": fields.epoch}
    if event.kind == EVENT_PONG:
        return {"ping_token": fields.ping_token}
    if event.kind == EVENT_WORKER_DIED or event.kind == EVENT_DRAINED:
        return {"taken_back": fields.taken_back}
    if event.kind == EVENT_CHANNEL_CLOSED:
        return {"error": fields.channel_error}
    if event.kind == EVENT_LISTENER_ERROR:
        return {
            "listener_id": fields.listener_error.listener_id,
            "error": fields.listener_error.error,
            "failures": fields.listener_error.failures,
        }
    if event.kind == EVENT_REJECTED:
        return {
            "command": fields.rejected.command,
            "listener_id": fields.rejected.listener_id,
            "error": fields.rejected.error,
        }
    return {"goes_on": fields.goes_on != 0}


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
    name = EventName(event.kind)
    text = data[sizeof(Event):]
    return DispatcherEvent(name, event.slot, event.incarnation, text=text, **fields_of(&event))
