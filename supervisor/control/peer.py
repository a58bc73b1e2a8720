"""Owns the question who is at the other end of a unix socket. Used by both ends of the control socket."""

import socket
import struct


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """Pid and uid of the process that connected, or of the one that listens: SO_PEERCRED, unix(7)."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", credentials)
    return pid, uid
