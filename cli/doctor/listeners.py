"""Owns asking the kernel which TCP sockets listen here, how many connections wait in each, and how many it dropped.

By sock_diag(7), as `ss -ltm` does; nobody needs to be root for it. Runs in the user's shell; changes nothing.
"""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ...supervisor.sockets.sock_diag import DROPS, REQUEST_ALL, answers, numbers_of
from .kernel_text import plain_host

LISTENING = 1 << 10
MEMORY = 7  # INET_DIAG_SKMEMINFO
MESSAGE_BYTES = 72


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


def _ask(family: int) -> Iterator[Listener]:
    question = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 1 << (MEMORY - 1), LISTENING)
    return (read_listener(body) for body in answers(question, REQUEST_ALL) if len(body) >= MESSAGE_BYTES)


def read_listener(body: bytes) -> Listener:
    """Return what a message of MESSAGE_BYTES and more says.

    struct inet_diag_msg of linux/inet_diag.h: four bytes, two ports, two addresses of 16 bytes, ..., attributes.
    """
    (port,) = struct.unpack_from(">H", body, 4)
    host = plain_host(body[8:24] if body[0] == socket.AF_INET6 else body[8:12])
    waiting, backlog = struct.unpack_from("=II", body, 56)
    memory = numbers_of(body[MESSAGE_BYTES:], MEMORY, DROPS + 1)
    return Listener(host, port, waiting, backlog, memory[DROPS] if memory else None)
