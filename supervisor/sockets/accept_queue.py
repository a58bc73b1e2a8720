"""Owns what the kernel says of listening sockets: how many connections wait, and how many it has turned away.

Runs in the supervisor; the counters of the whole machine also in the user's shell. It only reads.
"""

import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from .sock_diag import DROPS, MEMINFO_NUMBERS, REQUEST_ONE, answers, numbers_of

NETSTAT = Path("/proc/net/netstat")
# Of a listening socket tcpi_unacked and tcpi_sacked are its accept queue and the bound of it (tcp_get_info in
# net/ipv4/tcp.c): the fifth and sixth number of 32 bits behind eight bytes, the first of which is the state.
TCP_INFO_BYTES = 32
TCP_LISTEN = 10
SO_MEMINFO = 55  # asm-generic/socket.h
# linux/unix_diag.h: a question about one socket, by its inode, for UNIX_DIAG_RQLEN, behind a unix_diag_msg.
SHOW_QUEUE = 0x10
QUEUE_ATTRIBUTE = 4
ANY_COOKIE = 0xFFFFFFFF
ALL_STATES = 0xFFFFFFFF
QUESTION = struct.Struct("=BBHIIIII")
UNIX_MESSAGE_BYTES = 16


@dataclass(frozen=True)
class AcceptQueue:
    """What waits at a listening socket.

    Attributes:
        waiting: connections that nobody has accepted yet.
        limit: so many may wait: backlog, cut by somaxconn.
        dropped: connections and SYNs that it had no room for, since it was bound; None: nobody counts them, of unix
            sockets, whose clients wait or are told.
    """

    waiting: int
    limit: int
    dropped: int | None


def accept_queue(sock: socket.socket) -> AcceptQueue | None:
    """Return what waits at `sock`; None: it does not listen, is closed, or the kernel does not tell."""
    if sock.family == socket.AF_UNIX:
        return _unix_queue(sock)
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    except OSError:
        return None
    if len(info) < TCP_INFO_BYTES or info[0] != TCP_LISTEN:
        return None
    waiting, limit = struct.unpack_from("=II", info, 24)
    return AcceptQueue(waiting, limit, drops_of(sock))


def drops_of(listener: socket.socket) -> int:
    """Return how often the kernel had no room for a connection at a listener since it was bound; 0: nobody knows.

    A client that tries again counts again.
    """
    try:
        memory = listener.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * MEMINFO_NUMBERS)
    except OSError:
        return 0
    return int(struct.unpack_from("=I", memory, 4 * DROPS)[0]) if len(memory) == 4 * MEMINFO_NUMBERS else 0


def _unix_queue(sock: socket.socket) -> AcceptQueue | None:
    try:
        about = (os.fstat(sock.fileno()).st_ino, SHOW_QUEUE, ANY_COOKIE, ANY_COOKIE)
        for answer in answers(QUESTION.pack(socket.AF_UNIX, 0, 0, ALL_STATES, *about), REQUEST_ONE):
            if queue := numbers_of(answer[UNIX_MESSAGE_BYTES:], QUEUE_ATTRIBUTE, 2):
                waiting, limit = queue
                return AcceptQueue(waiting, limit, None)
    except OSError:
        pass
    return None


def listen_overflows() -> dict[str, int]:
    """Return ListenOverflows and ListenDrops of this network namespace, all sockets together; empty: not known."""
    try:
        lines = [line.split() for line in NETSTAT.read_text().splitlines() if line.startswith("TcpExt:")]
        names, numbers = lines[0], lines[1]
        found = dict(zip(names[1:], map(int, numbers[1:]), strict=False))
    except (OSError, ValueError, IndexError):
        return {}
    return {name: found[name] for name in ("ListenOverflows", "ListenDrops") if name in found}
