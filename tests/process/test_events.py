"""`fastlb events`: what happened to an app, through stops and starts, read and followed."""

import json
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled, wait_until


@pytest.fixture
def fastlb() -> Iterator[Fastlb]:
    with Fastlb() as installation:
        yield installation


def events_of(fastlb: Fastlb, *arguments: str) -> list[dict[str, object]]:
    printed = fastlb.ok("events", *arguments, "--json", "--lines", "1000").stdout
    return [json.loads(line) for line in printed.splitlines()]


def has_come(fastlb: Fastlb, name: str, times: int = 1) -> None:
    wait_until(lambda: len([e for e in events_of(fastlb) if e["event"] == name]) == times, f"{times} {name}")


def test_events_tell_the_life_of_an_app_through_a_stop(fastlb: Fastlb) -> None:
    app = fastlb.start()
    [pid] = app.worker_pids
    fastlb.run_program("kill", "-HUP", str(pid))
    has_come(fastlb, "worker_admitted", 2)
    app.ok("reload")
    app.ok("stop")
    fastlb.ok("start", "app")
    has_come(fastlb, "start_done", 2)
    events = events_of(fastlb, "app")
    names = [event["event"] for event in events]
    order = iter(names)
    for name in ("supervisor_started", "start_begun", "worker_started", "worker_admitted", "start_done"):
        assert name in order, names
    for name in ("worker_crashed", "worker_admitted", "reload_begun", "reload_done", "supervisor_stopped"):
        assert name in order, names
    for name in ("supervisor_started", "worker_admitted", "start_done"):
        assert name in order, names
    [crash] = [event for event in events if event["event"] == "worker_crashed"]
    assert (crash["worker_id"], crash["pid"], crash["level"], crash["app"]) == (0, pid, "error", "app")
    assert "SIGHUP" in str(crash["reason"])
    written = [line.split()[2] for line in app.log("supervisor").splitlines()]
    assert names == written[: len(names)]
    [shown] = [line for line in fastlb.ok("events", "app", "-n", "1000").stdout.splitlines() if "SIGHUP" in line]
    assert f"worker_crashed         worker 0 pid {pid}: killed by SIGHUP" in shown
    assert len(fastlb.ok("events", "-n", "2").stdout.splitlines()) == 2


def test_events_are_followed_through_a_stop_and_of_apps_that_come(fastlb: Fastlb) -> None:
    first = fastlb.start(name="first")
    has_come(fastlb, "start_done")
    follower = fastlb.popen("events", "--follow", "--json", "--lines", "1")
    assert follower.stdout
    assert json.loads(follower.stdout.readline())["event"] == "start_done"
    first.ok("stop")
    fastlb.start(name="second")
    fastlb.ok("start", "first")
    seen: list[tuple[str, str]] = []
    while not {("first", "start_done"), ("second", "start_done")} <= set(seen):
        event = json.loads(follower.stdout.readline())
        seen.append((event["app"], event["event"]))
    assert ("first", "supervisor_stopped") in seen
    follower.send_signal(signal.SIGINT)
    assert follower.wait(scaled(10)) == 130


def test_following_ends_when_nobody_reads_any_more(fastlb: Fastlb) -> None:
    fastlb.start()
    has_come(fastlb, "start_done")
    follower = fastlb.popen("events", "app", "--follow", stderr=subprocess.DEVNULL)
    assert follower.stdout
    follower.stdout.readline()
    follower.stdout.close()
    assert follower.wait(scaled(10)) in (0, 1)


def test_events_of_an_app_that_is_not_there_are_refused(fastlb: Fastlb) -> None:
    result = fastlb.cli("events", "shop")
    assert result.returncode == 1
    assert "there is no app 'shop'" in result.stderr
