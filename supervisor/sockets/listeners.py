"""Owns the listening sockets that `--bind` asks for: binds them at the start, closes them at the end.

Runs in the supervisor process. Every socket comes out listening, non-blocking, close-on-exec and (TCP) with
TCP_NODELAY, which accepted connections inherit. It must never accept.
"""

import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from ...worker.wire import ListenerInfo
from ..errors import FastlbError, UsageError
from ..settings.addresses import (
    ANY_HOST,
    SYSTEMD_FIRST_FD,
    InheritedFd,
    SystemdSockets,
    TcpAddress,
    UnixAddress,
    parse_address,
)
from ..settings.app_config import AppConfig
from ..settings.socket_mode import parse_mode
from .inherited import inherited_socket
from .refusals import explain_bind_error
from .unix_socket import file_id_of, listening_unix_socket

_NOT_ON_THIS_MACHINE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@dataclass
class BoundListener:
    """One listening socket. Only its file changes, when it is bound anew (refusing.py).

    Attributes:
        listener_id: 0, 1, ... in the order of binding.
        socket: owned by whoever holds this; `close_all` closes it.
        spec: the `--bind` that it comes from, as the user wrote it.
        info: what workers are told about it; `info.port` is the real one.
        unlink_path: socket file to remove at the end; None: none of ours.
        file_id: device and inode of that file, so that a successor's is left alone.
        key: by which Node workers know it; those of `--bind` are one server.
        is_inherited: another program opened it for us, and may listen on it as well.
    """

    listener_id: int
    socket: socket.socket
    spec: str
    info: ListenerInfo
    unlink_path: Path | None = None
    file_id: tuple[int, int] | None = None
    key: int = 0
    is_inherited: bool = False

    def take_file(self, has_file: bool) -> None:
        """Own the file of a unix socket, if it has one, which another process has made; else none."""
        self.unlink_path = Path(self.info.host) if has_file and self.info.family == "unix" else None
        self.file_id = file_id_of(self.unlink_path) if self.unlink_path else None

    @property
    def address(self) -> str:
        """Where the socket really listens: 127.0.0.1:8000, [::]:8000, *:8000 (IPv4 as well) or unix:/run/app.sock."""
        if self.info.family == "unix":
            return f"unix:{self.info.host}"
        if self.info.host == "::" and _is_dual_stack(self.socket):
            return f"*:{self.info.port}"
        host = f"[{self.info.host}]" if self.info.family == "inet6" else self.info.host
        return f"{host}:{self.info.port}"


def bind_all(
    config: AppConfig, systemd_fds: int = 0, default_bind: tuple[str, ...] = ()
) -> list[BoundListener]:
    """Bind everything that the settings ask for, or nothing.

    Without `bind`, sockets that systemd passed (`systemd_fds` of them) are taken, or else `default_bind`; without that
    the workers ask later.

    Raises:
        UsageError: an address makes no sense, or is given twice.
        FastlbError: one cannot be bound; the message says why and what to do.
    """
    specs = config.bind or (("fd:systemd",) if systemd_fds else default_bind)
    binder = _Binder(backlog=config.backlog, socket_mode=parse_mode(config.socket_mode), systemd_fds=systemd_fds)
    try:
        for spec in specs:
            binder.bind(spec)
        if specs and not binder.bound:
            raise UsageError("there is nothing to listen on: give --bind at least once")
    except BaseException:
        close_all(binder.bound)
        raise
    return binder.bound


def adopted(listener_id: int, fd: int, spec: str) -> BoundListener:
    """Return a listening socket that another process of the same app has bound for `spec`; `fd` is owned from here on.

    Raises:
        FastlbError: it is none.
    """
    sock = inherited_socket(spec, fd)
    return BoundListener(listener_id, sock, spec, describe(listener_id, sock), is_inherited=True)


def close_all(listeners: list[BoundListener]) -> None:
    """Close the sockets and remove the socket files that they made."""
    for listener in listeners:
        listener.socket.close()
        if listener.unlink_path:
            with contextlib.suppress(OSError):
                if file_id_of(listener.unlink_path) == listener.file_id:
                    listener.unlink_path.unlink()


def backlog_warning(config: AppConfig) -> str | None:
    """A sentence if the kernel cuts the backlog (net.core.somaxconn), else None."""
    try:
        limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
    except (OSError, ValueError):
        return None
    if limit >= config.backlog:
        return None
    return (
        f"the kernel cuts the backlog from {config.backlog} to {limit}:"
        f" raise it with sysctl net.core.somaxconn={config.backlog}"
    )


class _Binder:
    """Binds one spec after the other; `bound` is what there is so far."""

    def __init__(self, *, backlog: int, socket_mode: int, systemd_fds: int) -> None:
        self.bound: list[BoundListener] = []
        self._backlog = backlog
        self._socket_mode = socket_mode
        self._systemd_fds = systemd_fds

    def bind(self, spec: str) -> None:
        address = parse_address(spec)
        if any(listener.spec == spec for listener in self.bound) and not _may_repeat(address):
            raise UsageError(f"--bind {spec} is given twice")
        match address:
            case TcpAddress():
                self._bind_tcp(spec, address)
            case UnixAddress(path):
                self._bind_unix(spec, Path(path))
            case InheritedFd(fd):
                self._adopt(spec, fd)
            case SystemdSockets():
                self._adopt_systemd(spec)

    def _bind_tcp(self, spec: str, address: TcpAddress) -> None:
        """A name with several addresses (localhost) is bound on all that this machine has, on one port."""
        port, bound_before = address.port, len(self.bound)
        refusal: FastlbError | None = None
        for family, host, scope_id in _resolve(spec, address):
            name = (host, port, 0, scope_id) if scope_id else (host, port)
            try:
                sock = self._listen_tcp(family, name, dual_stack=address.host == ANY_HOST)
            except OSError as error:
                self._refuse_own_overlap(error, spec, port)
                refusal = explain_bind_error(error, spec, TcpAddress(host, port))
                # localhost has an IPv6 address even where IPv6 is off.
                if error.errno in _NOT_ON_THIS_MACHINE:
                    continue
                raise refusal from error
            self._add(sock, spec)
            port = sock.getsockname()[1]
        if refusal and len(self.bound) == bound_before:
            raise refusal

    def _refuse_own_overlap(self, error: OSError, spec: str, port: int) -> None:
        """Raise if a port is in use because this app has bound it already, by another --bind."""
        if error.errno != errno.EADDRINUSE:
            return
        for listener in self.bound:
            if listener.info.family != "unix" and listener.info.port == port:
                raise UsageError(
                    f"--bind {spec} overlaps with --bind {listener.spec} of the same app: leave one of them out"
                ) from error

    def _listen_tcp(
        self, family: socket.AddressFamily, name: tuple[str | int, ...], *, dual_stack: bool
    ) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            # Connections of a predecessor in TIME_WAIT must not block a restart.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual_stack else 1)
            sock.bind(name)
            sock.listen(self._backlog)
        except OSError:
            sock.close()
            raise
        return sock

    def _bind_unix(self, spec: str, path: Path) -> None:
        path = Path(os.path.abspath(path))
        same = next((listener.spec for listener in self.bound if listener.unlink_path == path), "")
        if same:
            raise UsageError(f"--bind {spec} is the same socket as --bind {same}: leave one of them out")
        self._add(listening_unix_socket(spec, path, self._socket_mode, self._backlog), spec, unlink_path=path)

    def _adopt_systemd(self, spec: str) -> None:
        if not self._systemd_fds:
            raise FastlbError(
                f"--bind {spec}: systemd passed no sockets to this process (LISTEN_FDS, LISTEN_PID):"
                " start it from a service that has a .socket unit, with `fastlb run`"
            )
        for fd in range(SYSTEMD_FIRST_FD, SYSTEMD_FIRST_FD + self._systemd_fds):
            self._adopt(spec, fd)

    def _adopt(self, spec: str, fd: int) -> None:
        sock = inherited_socket(spec, fd)
        try:
            # Also for a socket that listens already: our backlog is the one that was asked for.
            sock.listen(self._backlog)
        except OSError as error:
            sock.close()
            raise FastlbError(f"--bind {spec}: descriptor {fd} cannot listen: {error.strerror}") from error
        self._add(sock, spec, is_inherited=True)

    def _add(
        self, sock: socket.socket, spec: str, unlink_path: Path | None = None, *, is_inherited: bool = False
    ) -> None:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener_id = len(self.bound)
        file_id = file_id_of(unlink_path) if unlink_path else None
        info = describe(listener_id, sock)
        listener = BoundListener(listener_id, sock, spec, info, unlink_path, file_id, is_inherited=is_inherited)
        self.bound.append(listener)


def describe(listener_id: int, sock: socket.socket) -> ListenerInfo:
    """What a worker is told about a bound socket."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        path = os.fsdecode(name) if isinstance(name, bytes) else name
        return ListenerInfo(listener_id, "unix", path, 0)
    if sock.family == socket.AF_INET6:
        return ListenerInfo(listener_id, "inet6", _with_zone(name[0], name[3]), name[1])
    return ListenerInfo(listener_id, "inet", name[0], name[1])


def _may_repeat(address: object) -> bool:
    return isinstance(address, TcpAddress) and address.port == 0


def _with_zone(host: str, scope_id: int) -> str:
    """An IPv6 address as people write it: one of a link has its interface behind it, fe80::1%eth0."""
    if not scope_id or "%" in host:
        return host
    try:
        return f"{host}%{socket.if_indextoname(scope_id)}"
    except OSError:
        return f"{host}%{scope_id}"


def _is_dual_stack(sock: socket.socket) -> bool:
    """Whether a socket on :: takes IPv4 as well; a closed one is not asked any more."""
    return sock.fileno() >= 0 and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def _resolve(spec: str, address: TcpAddress) -> list[tuple[socket.AddressFamily, str, int]]:
    """Return family, host and scope id of each address; the id, 0 but for one of a link, says of which interface."""
    if address.host == ANY_HOST:
        return [(socket.AF_INET6, "::", 0)] if _has_ipv6() else [(socket.AF_INET, "0.0.0.0", 0)]
    try:
        found = socket.getaddrinfo(address.host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise FastlbError(
            f"--bind {spec}: {address.host} has no address ({error}): check the name, or write an address"
        ) from error
    scopes = {(family, str(name[0])): int(name[3]) if len(name) > 3 else 0 for family, _, _, _, name in found}
    internet = (socket.AF_INET, socket.AF_INET6)
    return [(family, host, scope_id) for (family, host), scope_id in scopes.items() if family in internet]


def _has_ipv6() -> bool:
    """Whether the kernel lets us bind ::, which it does not with net.ipv6.conf.all.disable_ipv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True
