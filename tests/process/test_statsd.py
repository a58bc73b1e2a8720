"""A StatsD server is told what a real app does; one that is away is no matter."""

import contextlib
import socket
from pathlib import Path

from tests.support.client import Connection
from tests.support.fastlb_process import Fastlb
from tests.support.ports import free_port
from tests.support.waiting import scaled, wait_until


def test_requests_of_an_app_reach_the_server(fastlb: Fastlb) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(scaled(20))
        port = server.getsockname()[1]
        app = fastlb.start("asgi_probe:app", "--statsd-host", f"127.0.0.1:{port}", "--statsd-prefix", "shop")
        assert server.recv(2048).split(b"\n")[0] == b"shop.gunicorn.workers:1|g"
        fastlb.allow_in_logs("Traceback")
        for path in ("/plain", "/plain", "/plain", "/plain", "/fail"):
            app.get(path)
        told: list[bytes] = []

        def count(name: bytes) -> int:
            return sum(int(line.split(b":")[1].split(b"|")[0]) for line in told if line.startswith(name + b":"))

        while count(b"shop.gunicorn.requests") < 5:
            told += server.recv(2048).split(b"\n")
        while count(b"shop.gunicorn.request.status.500") < 1 or count(b"shop.gunicorn.request.status.200") < 4:
            told += server.recv(2048).split(b"\n")
        while not any(b".request.duration:" in line for line in told):
            told += server.recv(2048).split(b"\n")


def refused() -> int:
    """Return how many datagrams have met a port on which nobody listens, of this network namespace."""
    rows = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:")]
    return int(rows[1][rows[0].index("NoPorts")])


def test_server_that_was_away_is_told_again(fastlb: Fastlb) -> None:
    place = ("127.0.0.1", free_port(socket.SOCK_DGRAM))
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


def test_one_supervisor_tells_while_there_are_two(fastlb: Fastlb) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(scaled(20))
        app = fastlb.start("asgi_probe:app", "--statsd-host", f"127.0.0.1:{server.getsockname()[1]}")
        old = app.supervisor_pid
        _, old_place = server.recvfrom(2048)
        with Connection(app.address, scaled(30)) as slow:
            slow.send(f"/until?{fastlb.directory / 'never'}")
            wait_until(lambda: fastlb.requests_begun_and_ended()[0] > 0, "the slow request has begun")
            app.ok("update")
            server.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:  # what was told up to now
                    server.recvfrom(2048)
            server.settimeout(scaled(20))
            places = {server.recvfrom(2048)[1] for _ in range(3)}
            assert old in fastlb.pids, "the old one still finishes what it has"
            assert len(places) == 1
            assert old_place not in places
            app.ok("stop", "--force")
