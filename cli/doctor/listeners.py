"""Owns asking the kernel which TCP sockets listen here, how many connections wait in each, and how many it dropped.

By sock_diag(7), as `ss -ltm` does; nobody needs to be root for it. Runs in the user's shell; changes nothing.
"""

import socket
import struct
from dataclasses import dataclass

from .kernel_text import plain_host

SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
SOCK_DIAG_BY_FAMILY, DONE, ERROR = 20, 3, 2
REQUEST_ALL = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
LISTENING = 1 << 10
MEMORY, DROPS_AT = 7, 8  # INET_DIAG_SKMEMINFO, SK_MEMINFO_DROPS
HEADER = struct.Struct("=IHHII")
MESSAGE_BYTES = 72
ATTRIBUTE = struct.Struct("=HH")
ANSWER_SECONDS = 2.0


@dataclass(frozen=True)
class Listener:
    """A socket that listens.

    Attributes:
        host, port: its address; 0.0.0.0 and :: are every one.
        waiting: connections that nobody has accepted yet.
        backlog: how many may wait.
        dropped: those for which there was no room, since it listens; None: the kernel does not say.
    """

    host: str
    port: int
    waiting: int
    backlog: int
    dropped: int | None


def listeners() -> list[Listener]:
    """Return all TCP sockets that listen in our network namespace.

    Raises:
        OSError: the kernel, or who guards it, does not tell.
    """
    return [found for family in (socket.AF_INET, socket.AF_INET6) for found in _ask(family)]


def _ask(family: int) -> list[Listener]:
    request = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 1 << (MEMORY - 1), LISTENING)
    head = HEADER.pack(HEADER.size + len(request), SOCK_DIAG_BY_FAMILY, REQUEST_ALL, 1, 0)
    found: list[Listener] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as sock:
        sock.settimeout(ANSWER_SECONDS)
        sock.send(head + request)
        is_last = False
        while not is_last:
            some, is_last = read_answer(sock.recv(1 << 16))
            found += some
    return found


def read_answer(data: bytes) -> tuple[list[Listener], bool]:
    """Return what one datagram tells, and whether it is the last one.

    Raises:
        OSError: it is an error.
    """
    found: list[Listener] = []
    while len(data) >= HEADER.size:
        length, kind, _, _, _ = HEADER.unpack_from(data)
        if kind == DONE or length < HEADER.size:
            return found, True
        body, data = data[HEADER.size : length], data[(length + 3) & ~3 :]
        if kind == ERROR:
            number = -struct.unpack_from("=i", body)[0]
            raise OSError(number, "the kernel does not tell which sockets listen")
        if len(body) >= MESSAGE_BYTES:
            found.append(_listener(body))
    return found, False


def _listener(body: bytes) -> Listener:
    """struct inet_diag_msg of linux/inet_diag.h: four bytes, two ports, two addresses of 16 bytes, ..., attributes."""
    (port,) = struct.unpack_from(">H", body, 4)
    host = plain_host(body[8:24] if body[0] == socket.AF_INET6 else body[8:12])
    waiting, backlog = struct.unpack_from("=II", body, 56)
    return Listener(host, port, waiting, backlog, _dropped(body[MESSAGE_BYTES:]))


def _dropped(attributes: bytes) -> int | None:
    while len(attributes) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(attributes)
        if length < ATTRIBUTE.size:
            return None
        if kind == MEMORY and length >= ATTRIBUTE.size + 4 * (DROPS_AT + 1):
            return int(struct.unpack_from("=I", attributes, ATTRIBUTE.size + 4 * DROPS_AT)[0])
        attributes = attributes[(length + 3) & ~3 :]
    return None
