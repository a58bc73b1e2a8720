"""What the kernel says of a socket."""

import socket
import sys


def backlog_of(sock: socket.socket) -> int:
    """Return how long the queue of a listener may get: in TCP_INFO it is tcpi_sacked (net/ipv4/tcp.c)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    return int.from_bytes(info[28:32], sys.byteorder)
