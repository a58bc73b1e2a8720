"""Owns the sockets that another program opened for us: the caller (`fd:N`) or systemd. Runs in the supervisor.

A descriptor that is no socket of ours to listen on is left as it is.
"""

import os
import socket
import stat

from ..errors import FastlbError

FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


def inherited_socket(spec: str, fd: int) -> socket.socket:
    """Take over descriptor `fd`, for the `--bind` that the user wrote as `spec`.

    Raises:
        FastlbError: it is no stream socket of TCP or a unix path; the message says what it is.
    """
    try:
        is_socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError as error:
        raise FastlbError(
            f"--bind {spec}: descriptor {fd} is not open: the program that starts fastlb must pass it"
        ) from error
    if not is_socket:
        raise FastlbError(f"--bind {spec}: descriptor {fd} is not a socket")
    os.set_inheritable(fd, False)
    sock = socket.socket(fileno=fd)
    if sock.type == socket.SOCK_STREAM and sock.family in FAMILIES:
        return sock
    kind = f"{sock.family.name} {sock.type.name}"
    sock.detach()
    raise FastlbError(f"--bind {spec}: descriptor {fd} is no TCP or unix stream socket but {kind}")
