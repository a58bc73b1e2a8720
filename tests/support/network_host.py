"""Owns NetworkHost: another host, which is a network namespace at the end of a veth. Runs in the test process."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from .waiting import scaled


@dataclass(frozen=True)
class NetworkHost:
    """A namespace `name` with an address of its own; `front` is our end of the cable."""

    name: str
    address: str
    front: str

    def command(self, *words: str) -> list[str]:
        """Return what runs a command there."""
        return ["ip", "netns", "exec", self.name, *words]

    def drop_answers(self) -> None:
        """Drop silently what the host would send to us, from now on: it looks as if it were gone."""
        ip("-n", self.name, "route", "add", "blackhole", f"{self.front}/32")

    def take_answers(self) -> None:
        """Undo drop_answers."""
        ip("-n", self.name, "route", "del", "blackhole", f"{self.front}/32")


def ip(*words: str) -> None:
    """Run ip(8), which must succeed."""
    result = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=scaled(20), check=False)
    assert result.returncode == 0, f"ip {' '.join(words)}: {result.stderr}"


@contextmanager
def network_hosts(count: int) -> Iterator[list[NetworkHost]]:
    """Make hosts for the length of the block, below 10.213.0.0/16. Skips where namespaces cannot be made."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("only root can make network namespaces, by ip(8)")
    mark = os.getpid()
    hosts = []
    for number in range(count):
        network = IPv4Address("10.213.0.0") + mark % 1024 * 64 + 4 * number
        hosts.append(NetworkHost(f"fl{mark}-{number}", str(network + 2), str(network + 1)))
    try:
        for host in hosts:
            _connect(host)
        yield hosts
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True, check=False)


def _connect(host: NetworkHost) -> None:
    made = subprocess.run(["ip", "netns", "add", host.name], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
    ip("link", "add", host.name, "type", "veth", "peer", "name", "eth0", "netns", host.name)
    ip("addr", "add", f"{host.front}/30", "dev", host.name)
    ip("link", "set", host.name, "up")
    ip("-n", host.name, "addr", "add", f"{host.address}/30", "dev", "eth0")
    ip("-n", host.name, "link", "set", "eth0", "up")
    ip("-n", host.name, "link", "set", "lo", "up")
