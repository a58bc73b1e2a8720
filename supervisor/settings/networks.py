"""Owns lists of trusted addresses in the form in which the dispatcher has them: prefixes of IPv6. Pure; any process."""

from typing import NamedTuple

MAX_NETWORKS = 256  # of a list: lb/opening/networks.pxd
IPV4_BITS = 32
IPV6_BITS = 128
EVERYBODY = "*"
UNIX_PEERS = "unix:"


class TrustedNetworks(NamedTuple):
    """Who is trusted.

    Attributes:
        networks: address (16 bytes, IPv4 as ::ffff:a.b.c.d) and bits of the prefix.
        unix_peers: whoever may connect to a unix socket.
    """

    networks: tuple[tuple[bytes, int], ...]
    unix_peers: bool


def parse_networks(allowed: str) -> TrustedNetworks:
    """Understand a list of addresses and networks, comma separated; `*` is everybody, `unix:` who has no address.

    Raises:
        ValueError: an entry is none of these, or there are too many.
    """
    entries = [entry.strip() for entry in allowed.split(",") if entry.strip()]
    networks = {_network(entry) for entry in entries if entry not in (EVERYBODY, UNIX_PEERS)}
    if len(networks) > MAX_NETWORKS:
        raise ValueError(f"{len(networks)} networks are more than {MAX_NETWORKS}: give larger ones")
    if EVERYBODY in entries:
        return TrustedNetworks(((bytes(16), 0),), unix_peers=True)
    return TrustedNetworks(tuple(sorted(networks)), UNIX_PEERS in entries)


def _network(entry: str) -> tuple[bytes, int]:
    from ipaddress import IPv4Network, IPv6Address, ip_network  # of all commands only a start with a list needs it

    try:
        network = ip_network(entry, strict=False)
    except ValueError:
        raise ValueError(
            f"{entry!r} is no address: write addresses, networks such as 10.0.0.0/8, unix: for every unix socket of"
            " --bind, or *"
        ) from None
    if isinstance(network, IPv4Network):
        mapped = IPv6Address(f"::ffff:{network.network_address}")
        return mapped.packed, network.prefixlen + IPV6_BITS - IPV4_BITS
    return network.network_address.packed, network.prefixlen
