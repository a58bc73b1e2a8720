"""What a StatsD server is told: gunicorn's names, counts of the time in between, datagrams that fit."""

import socket
from typing import Any

import pytest
from fastlb.supervisor.rates.meter import AppRates, Rates
from fastlb.supervisor.settings.statsd_host import (
    StatsdAddress,
    check_statsd_host,
    check_statsd_prefix,
    parse_statsd_host,
)
from fastlb.supervisor.statsd.lines import MOST_BYTES, datagrams, lines_of
from gunicorn.instrument.statsd import Statsd


def rates(requests: float | None, latency_us: tuple[int, ...] = (), **more: Any) -> AppRates:
    return AppRates(2.0, Rates(requests, 0.0, 0.0, 0, 0, latency_us, **more), {}, None)


def test_requests_and_durations_have_the_names_of_gunicorn() -> None:
    assert lines_of(rates(10.0, (0, 1, 4)), 3, "") == [
        "gunicorn.workers:3|g",
        "gunicorn.requests:20|c",
        "gunicorn.request.duration:0.0015|ms",
        "gunicorn.request.duration:0.003|ms|@0.25",
    ]


class Told(Statsd):  # type: ignore[misc]
    """gunicorn's own, which tells us what it would send."""

    def __init__(self) -> None:
        self.prefix, self.dogstatsd_tags, self.sock = "", "", self
        self.lines: list[str] = []

    def send(self, datagram: bytes) -> None:
        """Take what would be sent."""
        self.lines.append(datagram.decode())


def test_lines_are_those_that_gunicorn_sends() -> None:
    told = Told()
    told.gauge("gunicorn.workers", 3)
    told.increment("gunicorn.log.error", 2)
    told.increment("gunicorn.requests", 4)
    told.increment("gunicorn.request.status.200", 3)
    told.increment("gunicorn.request.status.503", 1)
    ours = lines_of(rates(2.0, responses={503: 1, 200: 3}), 3, "", {"error": 2, "info": 9})
    assert ours == [line.removesuffix("|@1.0") for line in told.lines]


@pytest.mark.parametrize("requests", [None, 0.0])
def test_nothing_is_told_of_what_was_not_counted(requests: float | None) -> None:
    assert lines_of(rates(requests), 1, "shop") == ["shop.gunicorn.workers:1|g"]


def test_prefix_may_end_with_its_dot() -> None:
    assert lines_of(rates(None), 1, "shop.") == lines_of(rates(None), 1, "shop")


def test_datagrams_fit_and_lose_no_line() -> None:
    lines = [f"gunicorn.request.duration:{number}|ms" for number in range(200)]
    packed = datagrams(lines)
    assert max(map(len, packed)) <= MOST_BYTES
    assert b"\n".join(packed).decode().split("\n") == lines


@pytest.mark.parametrize(
    ("text", "address"),
    [("stats:8125", ("stats", 8125)), ("[::1]:8125", ("::1", 8125)), ("127.0.0.1:1", ("127.0.0.1", 1))],
)
def test_addresses_are_understood(text: str, address: tuple[str, int]) -> None:
    assert parse_statsd_host(text) == StatsdAddress(*address)


@pytest.mark.parametrize("text", ["stats", "stats:", "stats:0", "stats:70000", ":8125", "a b:1", "::1:8125"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_statsd_host(text)


@pytest.mark.parametrize("host", ["a" * 64, f"stats.{'a' * 64}.example", "a..b", ".stats", "stats.."])
def test_name_that_no_resolver_takes_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="63 characters"):
        check_statsd_host(f"{host}:8125")
    with pytest.raises(UnicodeError):  # what it would have come to
        socket.getaddrinfo(host, 8125)


@pytest.mark.parametrize("host", ["a" * 63, "stats.example.", "stats_1.example"])
def test_name_that_a_resolver_takes_is_kept(host: str) -> None:
    check_statsd_host(f"{host}:8125")


def test_prefix_cannot_break_a_line() -> None:
    with pytest.raises(ValueError, match="prefix"):
        check_statsd_prefix("a\nb:1|c")
