"""Owns which ports an app listens on, or wants to, and who has them. Pure; runs in the user's shell."""

from collections.abc import Iterable, Sequence

from ...supervisor.errors import UsageError
from ...supervisor.settings.addresses import ANY_HOST, TcpAddress, parse_address
from .listeners import Listener

EVERY = ("0.0.0.0", "::", ANY_HOST)
LOOPBACKS = ("127.0.0.1", "::1")


def tcp_addresses(binds: Iterable[str]) -> list[TcpAddress]:
    """Return the TCP addresses among binds, as settings and `list` have them; those of any free port are none."""
    found = []
    for bind in binds:
        try:
            address = parse_address(bind.removeprefix("http://"))
        except UsageError:
            continue
        if isinstance(address, TcpAddress) and address.port:
            found.append(address)
    return found


def tcp_ports(binds: Iterable[str]) -> set[int]:
    """Return the TCP ports among binds."""
    return {address.port for address in tcp_addresses(binds)}


def is_taken(address: TcpAddress, listeners: Sequence[Listener]) -> bool:
    """Whether somebody listens where `address` would."""
    return any(one.port == address.port and overlap(address.host, one.host) for one in listeners)


def overlap(host: str, other: str) -> bool:
    """Whether two hosts cannot have the same port at the same time; every address is each other's."""
    if host in EVERY or other in EVERY or host == other:
        return True
    return "localhost" in (host, other) and bool({host, other} & set(LOOPBACKS))
