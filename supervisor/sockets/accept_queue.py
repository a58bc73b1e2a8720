"""Owns what the kernel says of listening sockets: how many connections wait, and how many it has turned away.

Runs in the supervisor; the counters of the whole machine also in the user's shell. It only reads.
"""

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
MEMINFO_NUMBERS = 9
DROPS = 8


@dataclass(frozen=True)
class AcceptQueue:
    """What waits at a listening TCP socket.

    Attributes:
        waiting: connections that nobody has accepted yet.
        limit: so many may wait: backlog, cut by somaxconn.
        dropped: connections and SYNs that it had no room for, since it was bound.
    """

    waiting: int
    limit: int
    dropped: int


def accept_queue(sock: socket.socket) -> AcceptQueue | None:
    """Return what waits at `sock`; None: it is no TCP socket that listens, or is closed."""
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


def listen_overflows() -> dict[str, int]:
    """Return ListenOverflows and ListenDrops of this network namespace, all sockets together; empty: not known."""
    try:
        lines = [line.split() for line in NETSTAT.read_text().splitlines() if line.startswith("TcpExt:")]
        names, numbers = lines[0], lines[1]
        found = dict(zip(names[1:], map(int, numbers[1:]), strict=False))
    except (OSError, ValueError, IndexError):
        return {}
    return {name: found[name] for name in ("ListenOverflows", "ListenDrops") if name in found}
