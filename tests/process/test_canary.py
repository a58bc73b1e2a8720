"""New code on trial beside the old: worse code is rolled back, good code goes on, and the others notice nothing."""

import json
import os
import signal
from collections.abc import Callable

from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.waiting import scaled, wait_until

ROLLED_BACK = 4


def events(fastlb: Fastlb, name: str) -> list[dict[str, object]]:
    lines = fastlb.ok("events", "app", "--lines", "1000", "--json").stdout.splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


def test_worse_code_is_rolled_back_and_only_its_requests_fail(fastlb: Fastlb, release: Callable[[str], None]) -> None:
    app = fastlb.start("release:app", "--workers", "2")
    before = app.worker_pids
    release("fails")
    fastlb.allow_in_logs("Traceback")
    with LoadProcess(Plan(address=app.address, clients=2)) as load:
        load.wait_for(20)
        found = fastlb.cli("canary", "app", "--for", "60s")
        load.wait_for(20)
    assert found.returncode == ROLLED_BACK
    assert "requests failed" in found.stderr
    told = events(fastlb, "canary_rolled_back")[0]
    assert 3 <= load.report.failed == load.report.bad_status, load.report
    assert 3 <= told["canary_errors"] <= load.report.failed  # type: ignore[operator]
    app.wait_online(2)
    assert app.worker_pids == before
    assert app.entry()["operations"] == []


def test_good_code_takes_the_place_of_the_old(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    before = set(app.worker_pids)
    with LoadProcess(Plan(address=app.address, clients=2)) as load:
        options = ("--for", f"{scaled(1.5):g}s", "--min-requests", "5", "--max-slowdown", "1000", "--json")
        found = fastlb.cli("canary", "app", *options)
        load.wait_for(20)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)[0]["ok"] is True
    assert load.report.failed == 0, load.report
    app.wait_online(2)
    assert not before & set(app.worker_pids)


def test_nothing_is_proven_by_no_requests(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    before = app.worker_pids
    found = fastlb.cli("canary", "app", "--for", "1s")
    assert found.returncode == ROLLED_BACK
    assert "0 requests say nothing" in found.stderr
    app.wait_online(1)
    assert app.worker_pids == before


def test_crash_rolls_back_at_once(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    before = app.worker_pids
    command = fastlb.popen("canary", "app", "--for", "1h")
    wait_until(lambda: events(fastlb, "canary_admitted"), "the trial has begun", 20)
    os.kill(new_pid(app, before), signal.SIGKILL)
    _, errors = command.communicate(timeout=scaled(20))
    assert command.returncode == ROLLED_BACK
    assert "SIGKILL" in errors
    app.wait_online(1)
    assert app.worker_pids == before


def test_interrupt_rolls_back(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    before = app.worker_pids
    command = fastlb.popen("canary", "app", "--for", "1h")
    wait_until(lambda: events(fastlb, "canary_admitted"), "the trial has begun", 20)
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=scaled(20))
    assert command.returncode == 130
    app.wait_online(1)
    assert app.worker_pids == before
    assert "has gone" in str(wait_until(lambda: events(fastlb, "canary_rolled_back"), "it is said")[0]["reason"])


def new_pid(app: App, before: list[int]) -> int:
    """Wait for the worker on trial; return its pid."""
    return wait_until(lambda: set(app.worker_pids) - set(before), "a worker is on trial", 20).pop()
