"""Owns at which addresses an app is found that runs on several hosts. Pure; the user's shell."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from ...supervisor.errors import UsageError
from ...supervisor.settings.addresses import ANY_HOST, TcpAddress, parse_address
from .exported_app import ExportedApp, plain

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Backend:
    """One port of an app, on all hosts that have it.

    Attributes:
        name: of the app, with the port behind all but its first.
        port: the same on all hosts; 0: a unix socket.
        addresses: HOST:PORT, or the path of a unix socket.
    """

    name: str
    port: int
    addresses: tuple[str, ...]


def backends(app: ExportedApp, hosts: Sequence[str]) -> list[Backend]:
    """Return where a reachable app is found on `hosts`; on none: where it listens itself.

    Raises:
        UsageError: a host is none.
    """
    found = [
        Backend(_name(app, at), at.port, tuple(_address(host, at.port) for host in hosts or [at.host or "127.0.0.1"]))
        for at in app.tcp
    ]
    return found or [Backend(app.name, 0, tuple(plain(path, "--bind unix:") for path in app.unix))]


def is_reachable(app: ExportedApp, hosts: Sequence[str]) -> bool:
    """Whether it is known where an app is found."""
    return bool(app.tcp or (app.unix and not hosts))


def refuse_unreachable(apps: Sequence[ExportedApp], hosts: Sequence[str]) -> None:
    """Raise if there is nothing to be written.

    Raises:
        UsageError: no app is reachable.
    """
    if not any(is_reachable(app, hosts) for app in apps):
        names = ", ".join(app.name for app in apps)
        raise UsageError(f"no port is known of {names}: give it --bind HOST:PORT")


def host_remarks(app: ExportedApp, hosts: Sequence[str]) -> list[str]:
    """Return what must be done for the app to be found there."""
    found = []
    if hosts and any(at.host in LOOPBACK for at in app.tcp):
        found.append("--bind: it listens on its own machine alone: start it with --bind :PORT on each host")
    if not hosts:
        found.append("--host was not given: it is where it listens itself")
    return found


def _name(app: ExportedApp, at: TcpAddress) -> str:
    return app.name if at == app.tcp[0] else f"{app.name}-{at.port}"


def _address(host: str, port: int) -> str:
    bare = host.removeprefix("[").removesuffix("]")
    if ":" in bare:
        try:
            return f"[{ipaddress.IPv6Address(bare)}]:{port}"
        except ValueError:
            raise UsageError(
                f"--host {host}: give a name or an address, without a port: it is that of --bind"
            ) from None
    try:
        if parse_address(f"{host}:{port}") == TcpAddress(ANY_HOST, port):
            raise UsageError(host)
    except UsageError:
        raise UsageError(f"--host {host}: this is neither a name nor an address of a host") from None
    return f"{host}:{port}"
