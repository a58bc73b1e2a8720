"""A worker that dies again and again: bounded, said so, and nothing else suffers."""

import os
import signal
from pathlib import Path

from tests.support import processes
from tests.support.fastlb_process import Fastlb, describe
from tests.support.waiting import wait_until

# On a busy machine a worker may live for longer than a second.
FAST_LOOP = ("--max-restarts", "3", "--min-uptime", "60", "--restart-delay", "0.01", "--settle", "0")


def test_worker_that_dies_after_ready_is_given_up(fastlb: Fastlb) -> None:
    fastlb.try_start("dies_after_ready:app", *FAST_LOOP)
    app = fastlb.app()
    wait_until(lambda: app.entry()["workers"][0]["status"] == "errored", "the worker is given up", 20)
    assert app.entry()["workers"][0]["restarts"] == 2, "the third unstable exit is the last"
    assert app.entry()["status"] == "errored"
    supervisor = app.supervisor_pid
    assert all("fastlb.worker" not in processes.command_line(pid) for pid in processes.children(supervisor))
    assert "7" in app.log("supervisor"), "the exit code is in the supervisor's log"


def test_release_that_breaks_later_takes_down_only_its_own_worker(fastlb: Fastlb, tmp_path: Path) -> None:
    fastlb.allow_in_logs("Traceback")
    release = tmp_path / "release"
    release.write_text("asgi_probe")
    fastlb.env["FASTLB_TEST_RELEASE"] = str(release)
    app = fastlb.start("release:app", "--workers", "2", *FAST_LOOP)
    victim, survivor = app.worker_pids
    release.write_text("dies_at_import")
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: app.entry()["workers"][0]["status"] == "errored", "the worker is given up", 20)
    assert app.entry()["status"] == "degraded"
    assert {app.get().json()["pid"] for _ in range(5)} == {survivor}
    release.write_text("asgi_probe")
    app.ok("reload")
    app.wait_online(2)


def test_worker_that_exits_with_0_unasked_has_failed_and_is_restarted(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    before = app.worker_pids
    os.kill(before[0], signal.SIGTERM)
    wait_until(lambda: len(now := app.worker_pids) == 2 and now != before, "it is restarted", 15)


def test_stop_ends_an_app_that_is_in_a_crash_loop(fastlb: Fastlb) -> None:
    fastlb.try_start("dies_after_ready:app", "--max-restarts", "1000", "--restart-delay", "0.01", "--settle", "0")
    app = fastlb.app()
    wait_until(lambda: app.entry()["workers"][0]["restarts"] >= 1, "it is looping", 20)
    result = fastlb.cli("stop", "app")
    assert result.returncode == 0, describe(result)
    assert fastlb.pids == []
