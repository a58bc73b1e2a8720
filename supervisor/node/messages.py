"""Owns the messages of Node's cluster protocol that the supervisor reads and writes. Pure; no I/O.

A line is a JSON value. Those of Node itself are objects with a `cmd` that begins with NODE_ (source: lib/internal/
cluster/child.js and primary.js); everything else is a message of the app. What is about single connections never
comes here: lb/node/wire.pxd. Nothing that a worker writes is trusted: what does not fit is no message.
"""

from typing import Any

import msgspec

from . import preload
from .preload import PreloadWord

ONLINE = "online"


class QueryServer(msgspec.Struct, frozen=True, rename="camel"):
    """The app wants to listen. Answer with `ack` = `seq`.

    Attributes:
        address: where; None: everywhere; the path of a unix socket when `port` is -1.
        port: 0: any free one; None: `fd` is meant.
        address_type: 4, 6, -1 (unix socket), "udp4", "udp6" or None (`fd`).
        index: how many servers with this address the worker had asked for before.
        fd: an inherited descriptor of the supervisor.
        flags: 1: IPv6 only; UDP also 4: SO_REUSEADDR.
        data: what the first worker says, every other one must be told: TLS ticket keys.
        backlog, readable_all, writable_all: as the app gave them, of any type; listen(port, host, callback): False.
    """

    seq: int
    index: int = 0
    address: str | None = None
    port: int | None = None
    address_type: int | str | None = None
    fd: int | None = None
    flags: int | None = None
    backlog: Any = None
    data: Any = None
    readable_all: Any = False
    writable_all: Any = False


class Listening(msgspec.Struct, frozen=True, rename="camel"):
    """A server of the worker is up; fields as in QueryServer, but `port` is the one that it was told."""

    index: int = 0
    address: str | None = None
    port: int | None = None
    address_type: int | str | None = None
    fd: int | None = None


class Close(msgspec.Struct, frozen=True):
    """The worker has closed the server with this key."""

    key: str


class Online(msgspec.Struct, frozen=True):
    """The script is about to run."""


class ExitedAfterDisconnect(msgspec.Struct, frozen=True):
    """The worker leaves by its own wish, and waits for the answer with `ack` = `seq`."""

    seq: int


class UserMessage(msgspec.Struct, frozen=True):
    """process.send(value)."""

    value: Any


class HandleSent(msgspec.Struct, frozen=True):
    """process.send(message, socket): the dispatcher has answered it and closed the socket."""


class SocketQuestion(msgspec.Struct, frozen=True):
    """A server asks what became of the sockets that it sent (lib/internal/socket_list.js); it waits for the answer."""

    cmd: str
    key: str


NodeMessage = (
    QueryServer
    | Listening
    | Close
    | Online
    | ExitedAfterDisconnect
    | UserMessage
    | HandleSent
    | SocketQuestion
    | PreloadWord
)

ACTS: dict[str, type[Any]] = {
    ONLINE: Online,
    "queryServer": QueryServer,
    "listening": Listening,
    "close": Close,
    "exitedAfterDisconnect": ExitedAfterDisconnect,
}

SOCKETS_CLOSE, SOCKETS_COUNT = "NODE_SOCKET_NOTIFY_CLOSE", "NODE_SOCKET_GET_COUNT"


def decode_line(line: bytes) -> NodeMessage | None:
    """Return what a worker's line says; None: nothing that means anything here."""
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    command = value.get("cmd") if isinstance(value, dict) else None
    if not isinstance(command, str) or not command.startswith("NODE_"):
        return UserMessage(value)
    if command == "NODE_HANDLE":
        return HandleSent()
    kind: type[Any] | None = SocketQuestion if command in (SOCKETS_CLOSE, SOCKETS_COUNT) else None
    if command == "NODE_CLUSTER":
        kind = ACTS.get(str(value.get("act")))
    elif command == preload.COMMAND:
        kind = preload.ACTS.get(str(value.get("act")))
    if kind is None:
        return None
    try:
        message: NodeMessage = msgspec.convert(value, kind, strict=False)  # Node passes on "3000" for a port, too
    except (msgspec.ValidationError, RecursionError):
        return None
    return message


class SocketName(msgspec.Struct, frozen=True):
    """What server.address() returns in the app."""

    address: str
    family: str
    port: int


def encode_server(query: QueryServer, key: int, data: Any, name: SocketName | None) -> bytes:
    """The answer to a QueryServer whose connections will be sent one by one."""
    fields = {"cmd": "NODE_CLUSTER", "errno": None, "key": str(key), "ack": query.seq, "data": data}
    return _line(fields | ({"sockname": name} if name else {}))


def encode_shared_server(query: QueryServer, key: int) -> bytes:
    """The answer that carries a UDP socket itself, which every worker reads from."""
    reply = {"cmd": "NODE_CLUSTER", "errno": 0, "key": str(key), "ack": query.seq, "data": query.data}
    return _line({"cmd": "NODE_HANDLE", "type": "dgram.Native", "msg": reply})


def encode_connection(key: int, number: int) -> bytes:
    """The announcement of a connection that comes along, as Node's own primary writes it (lb/node/wire.pxd).

    `number` is below those of the dispatcher, which therefore makes nothing of the answer.
    """
    message = {"cmd": "NODE_CLUSTER", "act": "newconn", "key": str(key), "seq": number}
    return _line({"cmd": "NODE_HANDLE", "type": "net.Native", "msg": message})


def encode_refusal(query: QueryServer, errno: int) -> bytes:
    """The answer that makes listen() fail in the app as it would without us; `errno` is positive."""
    return _line(
        {"cmd": "NODE_CLUSTER", "errno": -errno, "key": "", "ack": query.seq, "data": query.data}
    )


def encode_acknowledgement(seq: int) -> bytes:
    """The answer to ExitedAfterDisconnect."""
    return _line({"cmd": "NODE_CLUSTER", "ack": seq})


def encode_no_sockets(question: SocketQuestion) -> bytes:
    """The answer to a SocketQuestion: none of them is open, as nobody takes them."""
    if question.cmd == SOCKETS_CLOSE:
        return _line({"cmd": "NODE_SOCKET_ALL_CLOSED", "key": question.key})
    return _line({"cmd": "NODE_SOCKET_COUNT", "key": question.key, "count": 0})


def encode_user_message(value: Any) -> bytes:
    """What process.on('message') gets."""
    return _line(value)


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"
