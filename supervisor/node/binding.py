"""Owns how a socket is bound for a Node app: with Node's rules, not with those of `--bind`. Runs in the supervisor.

Sources: lib/net.js and lib/dgram.js, src/unix/{tcp,pipe,udp}.c of libuv. Every socket comes out non-blocking and
close-on-exec; what fails is an OSError, whose errno the app sees.
"""

import errno
import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

from ..settings.addresses import MAX_UNIX_PATH_BYTES
from ..sockets.unix_socket import bind_unix
from .messages import QueryServer, SocketName

IPV6_ONLY = 1  # UV_TCP_IPV6ONLY and UV_UDP_IPV6ONLY
UDP_REUSE_ADDRESS = 4  # UV_UDP_REUSEADDR
UNIX_SOCKET = -1  # port and address type of one
NODE_BACKLOG = 511
LONGEST_BACKLOG = 65535
READABLE_BY_ALL, WRITABLE_BY_ALL = 0o444, 0o222


def bind_server(query: QueryServer, backlog: int = NODE_BACKLOG) -> socket.socket:
    """Return the listening socket that a TCP or unix server asks for; `backlog` counts unless the app wants another.

    Raises:
        OSError: it cannot be had.
    """
    if query.port == UNIX_SOCKET:
        return _listening(_bind_unix_path(query), query, backlog)
    if query.port is None:
        raise _invalid()
    sock = _bind_tcp(query, query.port)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)  # accepted connections inherit it
    return _listening(sock, query, backlog)


def bind_udp(query: QueryServer) -> socket.socket:
    """Return the UDP socket that a dgram server asks for; every worker reads from the same one.

    Raises:
        OSError: it cannot be had.
    """
    family = socket.AF_INET6 if query.address_type == "udp6" else socket.AF_INET
    flags = query.flags or 0
    sock = _new_socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, flags & IPV6_ONLY)
        if flags & UDP_REUSE_ADDRESS:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
        host = query.address or ("::" if family == socket.AF_INET6 else "0.0.0.0")
        sock.bind(_socket_address(host, query.port or 0))
    except (OSError, ValueError) as error:
        sock.close()
        raise _as_os_error(error) from error
    return sock


def name_of(sock: socket.socket, port: int) -> SocketName | None:
    """Return what the app is told of its address; `port`: what it asked for, as it insists on it; 0: the real one."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return SocketName("127.0.0.1", "IPv4", port) if port else None
    host, real_port = sock.getsockname()[:2]
    family = "IPv6" if sock.family == socket.AF_INET6 else "IPv4"
    return SocketName(host, family, port or real_port)


def is_in_the_way(sock: socket.socket, query: QueryServer) -> bool:
    """Whether a socket of ours has the port that is asked for, at an address in common."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    host, port = sock.getsockname()[:2]
    if port != query.port:
        return False
    try:
        ours = ipaddress.ip_address(host)
        asked = ipaddress.ip_address(query.address or ("0.0.0.0" if query.address_type == "udp4" else "::"))
    except ValueError:
        return False
    if ours.version == asked.version:
        return ours == asked or ours.is_unspecified or asked.is_unspecified
    if ours.version == 6:
        return ours.is_unspecified and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    return asked.is_unspecified and not (query.flags or 0) & IPV6_ONLY


def _bind_tcp(query: QueryServer, port: int) -> socket.socket:
    if query.address:
        family = socket.AF_INET6 if query.address_type == 6 else socket.AF_INET
        return _bound(query, family, query.address, port)
    try:  # everywhere: both families on one socket where the machine has both
        return _bound(query, socket.AF_INET6, "::", port)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EINVAL):
            raise
        return _bound(query, socket.AF_INET, "0.0.0.0", port)


def _bound(query: QueryServer, family: int, host: str, port: int) -> socket.socket:
    ipv6_only = (query.flags or 0) & IPV6_ONLY
    sock = _new_socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, ipv6_only)
        sock.bind(_socket_address(host, port))
    except (OSError, ValueError) as error:
        sock.close()
        raise _as_os_error(error) from error
    return sock


def _socket_address(host: str, port: int) -> Any:
    """Node has resolved the name; what is no address yet is refused, as a name server must not keep us waiting.

    Raises:
        OSError: they are no address and port.
    """
    if "\0" in host or not 0 <= port <= 65535:
        raise _invalid()
    [(*_, address)] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return address


def _bind_unix_path(query: QueryServer) -> socket.socket:
    """Bind as libuv does: a path that exists is in use, whoever it belongs to."""
    if not query.address or "\0" in query.address:  # the kernel would take what stands before it
        raise _invalid()
    mode = 0o777 & ~_umask()
    mode |= (READABLE_BY_ALL if query.readable_all else 0) | (WRITABLE_BY_ALL if query.writable_all else 0)
    sock = _new_socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bind_unix(sock, _short(Path(query.address)), mode)
    except (OSError, ValueError) as error:
        sock.close()
        raise _as_os_error(error) from error
    return sock


def _short(path: Path) -> Path:
    """Return the relative path where the whole one is too long for a unix socket."""
    return path if len(os.fsencode(path)) <= MAX_UNIX_PATH_BYTES else Path(os.path.relpath(path))


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _new_socket(family: int, kind: int) -> socket.socket:
    return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def _listening(sock: socket.socket, query: QueryServer, backlog: int) -> socket.socket:
    wanted = query.backlog if type(query.backlog) is int and query.backlog > 0 else backlog
    try:
        sock.listen(min(wanted, LONGEST_BACKLOG))
    except OSError:
        sock.close()
        raise
    return sock


def _as_os_error(error: Exception) -> OSError:
    """Return what the system would say of a path that is too long, or a name that is no address."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return error
    return _invalid()


def _invalid() -> OSError:
    return OSError(errno.EINVAL, os.strerror(errno.EINVAL))
