"""Owns how a listening socket refuses clients for a while, and then listens again on the same address.

Runs in the supervisor process. It is called when no other process of ours holds the socket any more. It must never
touch a socket that another program opened for us: that one is its own to shut (see `is_inherited`).
"""

import contextlib
import os
import socket

from ..settings.addresses import TcpAddress
from .listeners import BoundListener
from .refusals import explain_bind_error
from .unix_socket import file_id_of, listening_unix_socket


def refuse_clients(listener: BoundListener) -> None:
    """Refuse whoever connects, and reset those who wait. A closed or inherited socket is left as it is."""
    if listener.socket.fileno() < 0 or listener.is_inherited:
        return
    if listener.info.family == "unix":
        _put(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), listener)
        return
    # One that does not listen would stay shut: connections that it takes later would be, too.
    if not listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return
    name = listener.socket.getsockname()
    listener.socket.shutdown(socket.SHUT_RDWR)
    # The kernel has given a port back that it had chosen itself, and kept any other one: EINVAL.
    with contextlib.suppress(OSError):
        listener.socket.bind(name)


def listen_again(listener: BoundListener, backlog: int, socket_mode: int) -> None:
    """Undo `refuse_clients`.

    Raises:
        FastlbError: somebody else has taken the address meanwhile; the message says who.
    """
    if listener.is_inherited:
        return
    if listener.unlink_path:
        _put(listening_unix_socket(listener.spec, listener.unlink_path, socket_mode, backlog), listener)
        listener.file_id = file_id_of(listener.unlink_path)
        return
    try:
        listener.socket.listen(backlog)
    except OSError as error:
        address = TcpAddress(listener.info.host, listener.info.port)
        raise explain_bind_error(error, listener.spec, address) from error


def _put(new: socket.socket, listener: BoundListener) -> None:
    """Put a socket in the place of the listener's own, which is closed: who holds the listener has the new one."""
    with new:
        new.setblocking(listener.socket.getblocking())
        os.dup2(new.fileno(), listener.socket.fileno(), inheritable=False)
