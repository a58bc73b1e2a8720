"""Owns what the kernel says of listening sockets: how many connections wait, and how many it has turned away.

Runs in the supervisor; the counters of the whole machine also in the user's shell. It only reads.
"""

import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

NETSTAT = Path("/proc/net/netstat")
# Of a listening socket tcpi_unacked and tcpi_sacked are its accept queue and the bound of it (tcp_get_info in
# net/ipv4/tcp.c): the fifth and sixth number of 32 bits behind eight bytes, the first of which is the state.
TCP_INFO_BYTES = 32
TCP_LISTEN = 10
# linux/sock_diag.h: SO_MEMINFO (asm-generic/socket.h) returns numbers of 32 bits; the ninth is sk_drops.
SO_MEMINFO = 55
# sock_diag(7), linux/unix_diag.h: a question about one socket, by its inode, for UNIX_DIAG_RQLEN.
SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
SHOW_QUEUE = 0x10
QUEUE_ATTRIBUTE = 4
ANY_COOKIE = 0xFFFFFFFF
ALL_STATES = 0xFFFFFFFF
NETLINK_HEAD = struct.Struct("=IHHII")
QUESTION = struct.Struct("=BBHIIIII")
ANSWER_BYTES = NETLINK_HEAD.size + 16  # with unix_diag_msg; attributes follow
ATTRIBUTE_HEAD = struct.Struct("=HH")
MEMINFO_NUMBERS = 9
DROPS = 8


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
        memory = sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * MEMINFO_NUMBERS)
    except OSError:
        return None
    if len(info) < TCP_INFO_BYTES or info[0] != TCP_LISTEN:
        return None
    waiting, limit = struct.unpack_from("=II", info, 24)
    drops = struct.unpack(f"={len(memory) // 4}I", memory)
    return AcceptQueue(waiting, limit, drops[DROPS] if len(drops) > DROPS else 0)


def _unix_queue(sock: socket.socket) -> AcceptQueue | None:
    try:
        inode = os.fstat(sock.fileno()).st_ino
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, SOCK_DIAG) as asked:
            size = NETLINK_HEAD.size + QUESTION.size
            head = NETLINK_HEAD.pack(size, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
            about = (inode, SHOW_QUEUE, ANY_COOKIE, ANY_COOKIE)
            asked.send(head + QUESTION.pack(socket.AF_UNIX, 0, 0, ALL_STATES, *about))
            return _queue_in(asked.recv(4096))  # the kernel has answered by now
    except OSError:
        return None


def _queue_in(answer: bytes) -> AcceptQueue | None:
    """Return what the attributes of an answer say of the queue."""
    if len(answer) < ANSWER_BYTES or NETLINK_HEAD.unpack_from(answer)[1] != SOCK_DIAG_BY_FAMILY:
        return None
    at = ANSWER_BYTES
    while at + ATTRIBUTE_HEAD.size <= len(answer):
        size, kind = ATTRIBUTE_HEAD.unpack_from(answer, at)
        if kind == QUEUE_ATTRIBUTE and size >= 12 and at + 12 <= len(answer):
            waiting, limit = struct.unpack_from("=II", answer, at + 4)
            return AcceptQueue(waiting, limit, None)
        at += max((size + 3) & ~3, ATTRIBUTE_HEAD.size)
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
