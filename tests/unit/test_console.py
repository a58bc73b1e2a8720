"""What the console is made of: who may see it, what counters say, an hour in bounded memory, what waits for a page."""

import asyncio
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastlb.cli.apps import AppState
from fastlb.cli.console.access import (
    FAILURES_SECONDS,
    MAX_FAILURES,
    Access,
    Hosts,
    is_https,
    is_loopback,
    is_same_origin,
    new_token,
    read_token,
)
from fastlb.cli.console.connection import first_to_go
from fastlb.cli.console.feeds import MAX_WAITING_LINES, Feed
from fastlb.cli.console.following import line_of
from fastlb.cli.console.history import LENGTH, MAX_APPS, STEP_SECONDS, Histories, Ring
from fastlb.cli.console.points import METERS, NOTHING, Meters, Point, point_of
from fastlb.cli.console.view import troubles_of, view_of
from fastlb.cli.console.watch import Watch
from fastlb.cli.log_view.records import Record
from fastlb.supervisor.control.protocol import (
    AlertEntry,
    AppEntry,
    AppMetrics,
    ListenerFigures,
    WorkerEntry,
    WorkerFigures,
)
from fastlb.supervisor.errors import FastlbError, UsageError
from fastlb.supervisor.output.event_record import Event

from tests.support.waiting import scaled


def worker(number: int, **more: object) -> WorkerEntry:
    """Return a worker that is online, but for what is said otherwise."""
    usual = {"pid": 100 + number, "status": "online", "uptime_s": 9.0, "restarts": 0, "connections": 2, "requests": 10}
    return WorkerEntry(**({"id": number, "rss_bytes": 1000, "cpu_percent": 5.0} | usual | more))  # type: ignore[arg-type]


def app(*workers: WorkerEntry, figures: list[WorkerFigures] | None = None, **more: object) -> AppMetrics:
    """Return an app that is online, but for what is said otherwise."""
    usual = {"status": "online", "pid": 99, "uptime_s": 9.0, "restarts": 0, "binds": [], "balance": "round-robin"}
    usual |= {"dispatcher": {}, "logs": {}, "max_memory_bytes": 0, "target_workers": len(workers)}
    return AppMetrics(name="shop", workers=list(workers), figures=figures or [], **(usual | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "private", "public"),
    [
        ("127.0.0.1:9615", True, True),
        ("localhost:1", True, True),
        ("LOCALHOST", True, True),
        ("[::1]:9615", True, True),
        ("apps.example.org", True, True),
        ("192.0.2.7:9615", False, True),
        ("evil.example:9615", False, False),
        ("127.0.0.1.evil.example", False, False),
        ("localhost@evil.example", False, False),
        ("", False, False),
        ("[::1", False, False),
        ("127.0.0.1:9615, evil.example", False, False),
    ],
)
def test_only_our_own_names_are_answered(host: str, private: bool, public: bool) -> None:
    names = ("apps.example.org",)
    assert Hosts(is_loopback=True, names=names).allow(host) is private
    assert Hosts(is_loopback=False, names=names).allow(host) is public


@pytest.mark.parametrize(
    ("origin", "site", "allowed"),
    [
        (None, None, True),
        (None, "same-origin", True),
        (None, "none", True),
        (None, "same-site", False),
        (None, "cross-site", False),
        ("http://127.0.0.1:9615", "same-origin", True),
        ("https://127.0.0.1:9615", None, True),
        ("http://127.0.0.1:8000", "same-site", False),
        ("http://evil.example", None, False),
        ("null", None, False),
        ("http://[::1", None, False),
    ],
)
def test_pages_of_others_are_told_apart(origin: str | None, site: str | None, allowed: bool) -> None:
    assert is_same_origin("127.0.0.1:9615", origin, site) is allowed


@pytest.mark.parametrize(
    ("address", "private"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("::", False)]
)
def test_addresses_that_others_reach_are_known(address: str, private: bool) -> None:
    assert is_loopback(address) is private


def test_wrong_tokens_are_looked_at_a_few_times_a_minute_only() -> None:
    access = Access("right", 9615)
    for _ in range(MAX_FAILURES):
        assert access.may_try(1.0)
        assert not access.knows_token("wröng", 1.0)
    assert not access.may_try(FAILURES_SECONDS)
    assert access.may_try(1.0 + FAILURES_SECONDS)
    assert access.knows_token("right", 1.0 + FAILURES_SECONDS)


def test_every_start_has_words_of_its_own() -> None:
    one, other = Access("token", 1), Access("token", 2)
    words = [new_token(), new_token(), one.session, one.key, other.session, other.key]
    assert len({*words, "token"}) == 7
    assert min(map(len, words)) >= 43, "256 bits"
    assert one.cookie != other.cookie, "two consoles on one host do not take each other's cookies"


def test_token_is_read_from_a_file_of_ours_alone(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(FastlbError, match="No such file"):
        read_token(file)
    file.write_text("0123456789abcdef0123\n")
    file.chmod(0o640)
    with pytest.raises(UsageError, match="others may read"):
        read_token(file)
    file.chmod(0o600)
    assert read_token(file) == "0123456789abcdef0123"
    file.write_text("too short")
    with pytest.raises(UsageError, match="at least 20"):
        read_token(file)


def test_figures_are_of_the_last_looks_from_the_second_on() -> None:
    meters, seen = Meters(), []
    for turn in range(2 * METERS):
        figures = [WorkerFigures(0, turn * 0.5, [0] * 10 + [turn])]
        entry = app(worker(0, requests=10 * turn**2), worker(1, status="unready", requests=0), figures=figures)
        rates = meters.look(entry, turn, 2.0 * turn)
        seen.append((rates and rates.seconds, point_of(entry, rates)))
    assert [seconds for seconds, _ in seen] == [None, 2.0, 4.0, 6.0, 6.0, 6.0]
    assert math.isnan(seen[0][1].requests_per_s)
    assert [point.requests_per_s for _, point in seen[1:]] == [5, 10, 15, 25, 35]
    last = seen[-1][1]
    assert (last.cpu_percent, last.connections, last.rss_bytes, last.workers) == (25, 4, 2000, 1)
    assert 0.5 < last.p50_ms <= last.p99_ms < 1.1


def test_nobody_counts_requests_of_node_workers() -> None:
    meters, entry = Meters(), app(worker(0, requests=None), figures=[WorkerFigures(0, 1.0, [])])
    meters.look(entry, 0, 1.0)
    point = point_of(entry, meters.look(entry, 1, 2.0))
    assert (point.cpu_percent, point.connections) == (0, 2)
    assert math.isnan(point.requests_per_s + point.errors_per_s + point.p50_ms)


def test_stopped_app_has_no_figures() -> None:
    entry = app(pid=None, status="stopped")
    assert point_of(entry, Meters().look(entry, 0, 1.0)) == NOTHING


def test_ring_keeps_the_last_values() -> None:
    ring = Ring(3)
    seen = []
    for number in range(5):
        ring.append(Point(connections=number))
        seen.append(ring.series("connections"))
    assert seen == [[0], [0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert ring.series("p50_ms") == [None] * 3


def test_history_is_an_hour_and_bounded() -> None:
    assert LENGTH * STEP_SECONDS == 3600
    histories = Histories(length=2)
    for name in ("a", "b"):
        histories.append({name: Point(workers=1), "c": Point(workers=2)})
    assert (histories.of("a"), histories.of("b")["workers"], histories.of("c")["workers"]) == ({}, [1], [2, 2])
    histories.append({str(number): NOTHING for number in range(MAX_APPS + 5)})
    assert len(histories.latest("workers", 1)) == MAX_APPS


def test_what_is_wrong_is_said_with_the_worst_first() -> None:
    ill = worker(1, status="unhealthy", impediment="is ill: GET /health: 500")
    crashed = worker(2, status="errored", pid=None, last_exit="exit code 3")
    shaky = worker(0, unstable_restarts=2, last_exit="SIGSEGV")
    alerts = [AlertEntry("memory", "2026-03-01T12:00:01.000Z", "worker 1 has 90 % of its limit")]
    state = AppState(app(shaky, ill, crashed, alerts=alerts, status="degraded", logs={"hanging_s": 4.2}))
    assert [(one.severity, one.text) for one in troubles_of(state, None)] == [
        ("bad", "the disk of its logs has hung for 4 s"),
        ("warning", "1 of 3 workers get connections"),
        ("warning", "alert memory: worker 1 has 90 % of its limit"),
        ("warning", "worker 0 ended 2 times soon after its start: SIGSEGV"),
        ("warning", "worker 1 is ill: GET /health: 500"),
        ("warning", "worker 2 is errored: exit code 3"),
    ]
    assert view_of(state, NOTHING, None).severity == "bad"


@pytest.mark.parametrize("status", ["online", "starting", "reloading", "stopping", "stopped", "finished"])
def test_nothing_is_wrong_with_what_is_as_it_should_be(status: str) -> None:
    assert view_of(AppState(app(worker(0), status=status)), NOTHING, None).severity == ""


@pytest.mark.parametrize("status", ["errored", "died", "unresponsive"])
def test_app_that_is_down_is_seen(status: str) -> None:
    assert view_of(AppState(app(status=status, pid=None)), NOTHING, None).severity == "bad"


def test_entry_of_an_older_supervisor_is_enough() -> None:
    entry = AppEntry(
        name="shop", status="online", pid=1, uptime_s=1, restarts=0, binds=[], balance="", workers=[worker(0)]
    )
    rates = Meters().look(entry, 0, 1.0)
    view = view_of(AppState(entry), point_of(entry, rates), rates)
    assert (view.workers[0].requests_per_s, view.live["connections"]) == (None, 2)


def test_notes_tell_what_holds_a_worker() -> None:
    old, new = worker(0, pid=5, status="draining"), worker(0, pid=6, generation=2)
    figures = [WorkerFigures(0, 1.0, [], busy=3, loop_lag_s=0.9, oldest_request_s=61.0)]
    shown = view_of(AppState(app(old, new, figures=figures)), NOTHING, None).workers
    assert [(one.busy, one.note) for one in shown] == [
        (None, ""),
        (3, "a request has run for 61 s; its event loop was held for 0.9 s"),
    ]


def test_many_errors_are_seen() -> None:
    meters, rates = Meters(), None
    for turn in range(2):
        entry = app(worker(0, requests=100 * turn, errors=6 * turn))
        rates = meters.look(entry, turn, 2.0 * turn)
    assert [one.text for one in troubles_of(AppState(entry), rates)] == ["6 % of its requests fail"]


def test_full_queue_of_the_kernel_is_seen() -> None:
    listeners = [ListenerFigures(address="*:80", waiting=waiting, limit=10) for waiting in (9, 10, None)]
    troubles = troubles_of(AppState(app(worker(0), listeners=listeners)), None)
    assert [one.severity for one in troubles] == ["bad"]


def test_lines_are_text() -> None:
    hostile = "\x1b[31mred\x1b[0m <script>alert(1)</script> \x1b]0;title\x07 \u202e"
    record = Record("shop", "err", hostile.encode(), hostile, time=5.0, worker=1)
    text = r"red <script>alert(1)</script> \x1b]0;title\x07 \u202e"
    assert line_of(record) == {"time": 5.0, "stream": "err", "worker": 1, "text": text}
    record.message = "x" * 100_000
    assert len(line_of(record)["text"]) < 5000


def test_page_that_is_slow_gets_the_newest_and_is_told_what_it_missed() -> None:
    async def fill() -> list[str]:
        feed = Feed()
        feed.put_state(b'"old"')
        feed.put_state(b'"new"')
        feed.add_lines(range(MAX_WAITING_LINES + 7))
        feed.add_lines([], "it has ended")
        sent = (await feed.next()).decode()
        feed.close()
        assert await feed.next() == b""
        return sent.split("\n\n")

    state, log, rest = asyncio.run(fill())
    assert (state, rest) == ('event: state\ndata: "new"', "")
    data = json.loads(log.removeprefix("event: log\ndata: "))
    assert (data["lines"][0], len(data["lines"]), data["missed"], data["ended"]) == (
        7,
        MAX_WAITING_LINES,
        7,
        "it has ended",
    )


def test_what_a_feed_holds_ends_with_it() -> None:
    async def close() -> list[str]:
        done = []
        feed = Feed()
        feed.at_close(lambda: done.append("before"))
        feed.close()
        feed.close()
        feed.at_close(lambda: done.append("after"))
        return done

    assert asyncio.run(close()) == ["before", "after"]


@pytest.mark.parametrize(
    ("scheme", "origin", "secure"),
    [
        ("https", None, True),
        ("http", None, False),
        ("http", "http://127.0.0.1:9615", False),
        ("http", "https://console.example.org", True),
        ("http", "HTTPS://console.example.org", True),
        ("http", "null", False),
        ("http", "", False),
    ],
)
def test_cookie_is_for_tls_alone_where_the_browser_has_it(scheme: str, origin: str | None, secure: bool) -> None:
    assert is_https(scheme, origin) is secure


@dataclass
class Open:
    """A connection."""

    used_at: float
    is_idle: bool = True


def test_what_is_idle_longest_makes_room_and_nobody_who_waits() -> None:
    busy, old, new = Open(1.0, is_idle=False), Open(2.0), Open(3.0)
    assert first_to_go([new, busy, old], 3) == []
    assert first_to_go([new, busy, old], 2) == [old]
    assert first_to_go([new, busy, old], 0) == [old, new]
    assert first_to_go([busy, busy], 1) == []


class Stumbling(Watch):
    """Finds nothing that it expects at first, and nothing at all later."""

    def __init__(self, errors: Iterator[Exception]) -> None:
        super().__init__({})
        self.errors = errors

    def _read(self) -> tuple[list[AppState], list[Event]]:
        for error in self.errors:
            raise error
        return [], []


def test_looking_goes_on_whatever_happens_which_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fastlb.cli.console.watch.INTERVAL_SECONDS", 0.01)

    async def scenario() -> None:
        watch = Stumbling(iter([KeyError("here"), KeyError("here"), RecursionError()]))
        feed = watch.open_feed()
        assert feed
        looking = asyncio.create_task(watch.run())
        told: list[str] = []
        async with asyncio.timeout(scaled(20)):
            while not told or told[-1] or len(told) < 3:
                lines = (await feed.next()).decode().splitlines()
                told += [json.loads(line.removeprefix("data: "))["problem"] for line in lines if '"problem"' in line]
        looking.cancel()
        assert "looking at the apps fails: KeyError: 'here'" in told

    asyncio.run(scenario())
    said = capsys.readouterr().err
    assert (said.count("in _read"), said.count("KeyError: 'here'")) == (2, 1), "the second time it is known"
