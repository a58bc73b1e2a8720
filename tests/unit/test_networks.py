"""Lists of trusted addresses, as the dispatcher gets them."""

import ipaddress

import pytest
from fastlb.supervisor.settings.networks import MAX_NETWORKS, parse_networks


def prefix(network: str) -> tuple[bytes, int]:
    parsed = ipaddress.IPv6Network(network)
    return parsed.network_address.packed, parsed.prefixlen


@pytest.mark.parametrize(
    ("allowed", "networks", "unix_peers"),
    [
        ("127.0.0.1,::1,unix:", {"::ffff:127.0.0.1/128", "::1/128"}, True),
        (" 10.1.2.3/8 , 10.0.0.0/8", {"::ffff:10.0.0.0/104"}, False),
        ("0.0.0.0/0", {"::ffff:0.0.0.0/96"}, False),
        ("10.0.0.0/8,*", {"::/0"}, True),
        ("", set(), False),
    ],
)
def test_addresses_and_networks_become_prefixes(allowed: str, networks: set[str], unix_peers: bool) -> None:
    found = parse_networks(allowed)
    assert set(found.networks) == set(map(prefix, networks))
    assert found.unix_peers is unix_peers


@pytest.mark.parametrize("allowed", ["proxy.example", "10.0.0.0/33", "unix:/run/s", "1.2.3.4:80"])
def test_what_is_no_network_is_refused(allowed: str) -> None:
    with pytest.raises(ValueError, match="is no address: write addresses, networks"):
        parse_networks(allowed)


def test_lists_are_bounded() -> None:
    many = ",".join(f"10.{number // 256}.{number % 256}.1" for number in range(MAX_NETWORKS + 1))
    with pytest.raises(ValueError, match="257 networks are more than 256"):
        parse_networks(many)
