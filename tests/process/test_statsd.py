"""A StatsD server is told what a real app does; one that is away is no matter."""

import socket
from pathlib import Path

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled, wait_until


def test_requests_of_an_app_reach_the_server(fastlb: Fastlb) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(scaled(20))
        port = server.getsockname()[1]
        app = fastlb.start("asgi_probe:app", "--statsd-host", f"127.0.0.1:{port}", "--statsd-prefix", "shop")
        assert server.recv(2048).split(b"\n")[0] == b"shop.gunicorn.workers:1|g"
        for _ in range(5):
            app.get("/plain")
        told: list[bytes] = []
        while sum(int(line.split(b":")[1].split(b"|")[0]) for line in told if b".requests:" in line) < 5:
            told += server.recv(2048).split(b"\n")
        while not any(b".request.duration:" in line for line in told):
            told += server.recv(2048).split(b"\n")


def refused() -> int:
    """Return how many datagrams have met a port on which nobody listens, of this network namespace."""
    rows = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:")]
    return int(rows[1][rows[0].index("NoPorts")])


def test_server_that_was_away_is_told_again(fastlb: Fastlb) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        place = server.getsockname()
    before = refused()
    fastlb.start("asgi_probe:app", "--statsd-host", f"{place[0]}:{place[1]}")
    wait_until(lambda: refused() >= before + 2, "some were refused", timeout=20)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(place)
        server.settimeout(scaled(20))
        assert server.recv(2048).startswith(b"gunicorn.workers:1|g")


def test_place_that_is_none_is_said_before_anything_starts(fastlb: Fastlb) -> None:
    result = fastlb.try_start("asgi_probe:app", "--statsd-host", "stats")
    assert result.returncode == 2
    assert "HOST:PORT" in result.stderr
