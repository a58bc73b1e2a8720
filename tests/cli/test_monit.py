"""The console on the terminal, by textual's pilot: what it shows, and that one key alone does nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from fastlb.cli.apps import AppState
from fastlb.cli.metrics.reading import read_metrics
from fastlb.cli.monit.cells import format_rate
from fastlb.cli.monit.console import MonitApp
from fastlb.cli.monit.dialogs import HowMany
from fastlb.cli.monit.table_view import TableView
from fastlb.supervisor.control.protocol import AppEntry, AppMetrics, WorkerEntry, WorkerFigures
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import RichLog, Sparkline, Static

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled

SMALLEST = (80, 24)
Test = Callable[[MonitApp, Pilot[None]], Awaitable[None]]


def worker(number: int, **figures: Any) -> WorkerEntry:
    usual: dict[str, Any] = {"pid": None, "status": "online", "uptime_s": 61.0, "restarts": 0, "connections": 2}
    return WorkerEntry(id=number, rss_bytes=50 << 20, cpu_percent=3.0, **(usual | {"requests": 10} | figures))


def entry(name: str, **other: Any) -> AppMetrics:
    workers = [worker(0), worker(1)]
    usual: dict[str, Any] = {"name": name, "status": "online", "pid": None, "uptime_s": 61.0, "restarts": 3}
    usual |= {"binds": [], "balance": "", "dispatcher": {}, "logs": {}, "max_memory_bytes": 0, "workers": workers}
    return AppMetrics(figures=[WorkerFigures(one.id, 1.0, [0] * 32) for one in workers], **(usual | other))


def drive(read: Callable[[], list[AppState]], test: Test, size: tuple[int, int] = SMALLEST) -> None:
    """Run the console without a terminal, and a test of it when it has looked once."""

    async def run() -> None:
        app = MonitApp(read, interval=0.1)
        async with app.run_test(size=size) as pilot:
            await reach(pilot, lambda: table(app, "workers").region.height > 0 and bool(table(app, "apps").table.rows))
            await test(app, pilot)

    asyncio.run(run())


async def reach(pilot: Pilot[None], is_reached: Callable[[], bool]) -> None:
    """Let the console go on until something holds."""
    deadline = monotonic() + scaled(20)
    while not is_reached():
        assert monotonic() < deadline
        await pilot.pause(0.02)


def type_at_once(app: MonitApp, *keys: str) -> None:
    """Type as fast as a terminal passes on what was pasted: the second key is there before what the first one opens."""
    for key in keys:
        app.post_message(Key(key, key if len(key) == 1 else None))


def table(app: MonitApp, name: str) -> TableView:
    return app.screen_stack[0].query_one(f"#{name}", TableView)


def cells(shown: TableView, name: str) -> list[str]:
    return next(list(row) for row in shown.table.rows if row[0] == name)


def word(app: MonitApp) -> str:
    return str(app.screen_stack[0].query_one("#word", Static).render())


@pytest.mark.parametrize("size", [SMALLEST, (200, 60)])
def test_apps_workers_and_graphs_are_there(size: tuple[int, int]) -> None:
    async def test(app: MonitApp, pilot: Pilot[None]) -> None:
        assert cells(table(app, "apps"), "shop")[:2] == ["shop", "online"]
        assert len(table(app, "workers").table.rows) == 2
        for part in ("apps", "workers", "output", "graph-requests", "graph-p99_ms"):
            region = app.query_one(f"#{part}").region
            assert region.width > 0
            assert region.height > 0, part
            assert region.bottom <= size[1]
        await pilot.press("down")
        await reach(pilot, lambda: app.chosen == "blog")

    drive(lambda: [AppState(entry("shop", pid=None)), AppState(entry("blog"))], test, size)


def test_graphs_grow_with_each_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTLB_HOME", str(tmp_path))
    counted = iter(range(0, 100_000, 100))

    def read() -> list[AppState]:
        count = next(counted)
        return [AppState(entry("shop", workers=[worker(0, requests=count), worker(1, requests=count)], pid=1))]

    async def test(app: MonitApp, pilot: Pilot[None]) -> None:
        await reach(pilot, lambda: max(app.query_one("#graph-requests", Sparkline).data or [0]) > 0)
        assert cells(table(app, "apps"), "shop")[3] != "-"

    drive(read, test)


def test_text_of_others_stays_text() -> None:
    async def test(app: MonitApp, pilot: Pilot[None]) -> None:
        assert cells(table(app, "apps"), "a[red]b")[0] == "a[red]b"
        app.say("[bold]\x1b[2J")
        assert "[bold]" in word(app)
        assert "\x1b" not in word(app)

    drive(lambda: [AppState(entry("a[red]b"))], test)


def test_nothing_is_done_without_a_second_key() -> None:
    async def test(app: MonitApp, pilot: Pilot[None]) -> None:
        for key in ("r", "R", "x", "s"):
            type_at_once(app, key)
            await reach(pilot, lambda: len(app.screen_stack) == 2)
            type_at_once(app, "escape")
            await reach(pilot, lambda: len(app.screen_stack) == 1)
        assert word(app) == ""

    drive(lambda: [AppState(entry("shop"))], test)


def test_no_color_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def test(app: MonitApp, pilot: Pilot[None]) -> None:
        colors = {segment.style.color for strip in app.screen._compositor.render_strips() for segment in strip
                  if segment.style and segment.style.color and segment.style.color.triplet}
        assert all(len(set(color.triplet)) == 1 for color in colors if color and color.triplet)

    drive(lambda: [AppState(entry("shop"))], test)


def test_app_that_does_not_answer_says_so() -> None:
    gone = AppEntry(
        name="shop", status="unresponsive", pid=None, uptime_s=0.0, restarts=0, binds=[], balance="", workers=[]
    )

    async def test(app: MonitApp, pilot: Pilot[None]) -> None:
        assert cells(table(app, "apps"), "shop")[1:3] == ["unresponsive", "-"]
        assert "did not answer" in word(app)

    drive(lambda: [AppState(gone, "shop did not answer")], test)


NUMBERS_TYPED = (
    (("1", "2", "enter"), 12),
    (("enter",), 2),
    (("backspace", "7", "enter"), 7),
    (("1", "2", "backspace", "delete", "4", "enter"), 4),
    (("0", "enter", "3", "enter"), 3),
    (("9", "9", "9", "9", "enter", "backspace", "backspace", "enter"), 9),
    (("backspace", "enter", "5", "escape"), None),
    (("5", "q"), None),
)


def test_number_that_is_typed_quickly_is_the_number() -> None:
    async def test(app: MonitApp, pilot: Pilot[None]) -> None:
        for typed, number in NUMBERS_TYPED:
            told: list[int | None] = []
            app.push_screen(HowMany("shop", 2), told.append)
            type_at_once(app, *typed)
            await reach(pilot, lambda told=told, number=number: told == [number])  # type: ignore[misc]
            assert len(app.screen_stack) == 1

    drive(lambda: [AppState(entry("shop"))], test)


@pytest.mark.parametrize(("rate", "shown"), [(None, "-"), (0.0, "0"), (0.26, "0.3"), (12.4, "12"), (15_230.0, "15.2k")])
def test_rates_are_short(rate: float | None, shown: str) -> None:
    assert format_rate(rate) == shown


def test_keys_scale_and_stop_a_real_app(fastlb: Fastlb, monkeypatch: pytest.MonkeyPatch) -> None:
    app = fastlb.start("asgi_probe:app")
    monkeypatch.setenv("FASTLB_HOME", str(fastlb.home))

    async def test(console: MonitApp, pilot: Pilot[None]) -> None:
        await reach(pilot, lambda: console.is_following)
        output = console.query_one("#output", RichLog)
        async with asyncio.timeout(scaled(20)):
            while not any("0 | seen" in line.text for line in output.lines):
                await asyncio.to_thread(app.get, "/print?seen")  # the first may come before the supervisor is asked
                await pilot.pause(0.02)
        type_at_once(console, "s", "2", "enter")
        await reach(pilot, lambda: "2 workers" in word(console))
        type_at_once(console, "x", "y")
        await reach(pilot, lambda: cells(table(console, "apps"), "app")[1] == "stopped")

    drive(lambda: read_metrics(["app"]), test)
    assert app.entry()["status"] == "stopped"
