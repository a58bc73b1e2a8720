"""Owns the making of a connection with both ends in our hands, as of a client on this machine. Supervisor process."""

import contextlib
import socket

LOOPBACK = "127.0.0.1"
TIMEOUT = 0.5


def connection_pair() -> tuple[socket.socket, socket.socket]:
    """Return a client's end and a server's, both non-blocking: TCP over the loopback, or else unix sockets.

    Raises:
        OSError: no descriptors are left.
    """
    with contextlib.suppress(OSError):
        return _tcp_pair()
    client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    client.setblocking(False)
    server.setblocking(False)
    return client, server


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    """On the loopback connect and accept do not wait; the time-out is for a machine that forbids it."""
    with contextlib.ExitStack() as opened:
        listener = socket.socket()
        with listener:
            listener.settimeout(TIMEOUT)
            listener.bind((LOOPBACK, 0))
            listener.listen(1)
            client = opened.enter_context(socket.socket())
            client.settimeout(TIMEOUT)
            client.connect(listener.getsockname())
            server, address = listener.accept()
            opened.enter_context(server)
            if address != client.getsockname():
                raise ConnectionRefusedError("somebody else was faster")
        client.setblocking(False)
        server.setblocking(False)
        opened.pop_all()
        return client, server
