"""Owns what is believed of X-Forwarded-Proto and X-Forwarded-For: only what a trusted proxy says.

Pure; runs in the event loop's thread of a worker process. The rules are uvicorn's
(`--forwarded-allow-ips`): https://www.uvicorn.org/deployment/#proxies-and-forwarded-headers
"""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from ..wire import UNIX_PEERS

REMEMBERED_LENGTH = 64
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class TrustedProxies:
    """Addresses and networks whose forwarded headers are believed."""

    def __init__(self, allowed: str) -> None:
        """Parse a comma separated list of addresses, networks and literals; `*` trusts everybody, `unix:` whoever may
        connect to a unix socket.

        A literal is anything else, compared as it is: a name that a proxy writes into X-Forwarded-For.
        """
        entries = [entry.strip() for entry in allowed.split(",") if entry.strip()]
        self._everybody = "*" in entries
        self._unix_peers = UNIX_PEERS in entries or self._everybody
        self._networks: list[IPv4Network | IPv6Network] = []
        self._literals: set[str] = set()
        for entry in entries:
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                self._literals.add(entry)
        self._remembered = lru_cache(maxsize=1024)(self._trusts)

    def trusts_peer(self, address: str) -> bool:
        """Say whether a connection's other end is trusted; `address` is empty for a unix socket, which has none."""
        return self.trusts(address) if address else self._unix_peers

    def trusts(self, address: str) -> bool:
        """Say whether `address`, or a name that a proxy writes for one, is trusted."""
        # Clients write what stands here: only what is as short as an address is remembered.
        return (self._remembered if len(address) <= REMEMBERED_LENGTH else self._trusts)(address)

    def client_of(self, forwarded_for: str) -> str:
        """Return the nearest address in X-Forwarded-For that is not a trusted proxy's."""
        hops = [hop.strip() for hop in forwarded_for.split(",")]
        if self._everybody:
            return _without_port(hops[0])
        for hop in reversed(hops):
            address = _without_port(hop)
            if not self.trusts(address):
                return address
        return _without_port(hops[0])

    def scheme_of(self, forwarded_proto: str) -> str:
        """Return "http" or "https", "" for anything that is neither."""
        return SCHEMES.get(forwarded_proto.strip().lower(), "")

    def _trusts(self, address: str) -> bool:
        if self._everybody:
            return True
        if not address:
            return False
        try:
            parsed = ip_address(address)
        except ValueError:
            return address in self._literals
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._networks)


def _without_port(hop: str) -> str:
    """Return the address of `1.2.3.4:5`, `[::1]:5`, `[::1]`, or what was given."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
