"""What a worker started and what left its process group ends with it, and nothing else does."""

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.fastlb_process import COMMAND, App, Fastlb
from tests.support.node_driver import start_node
from tests.support.programs import start_program, write_program
from tests.support.waiting import wait_until

# In a session of its own; `free`: without what tells that it is the app's.
DAEMONS = """
while read how; do
  case $how in
    free) env -u FASTLB_PROCESS setsid sleep 300 & echo $! ;;
    *) setsid sleep 300 & echo $! ;;
  esac
done
"""


@dataclass
class Daemons:
    """An app whose workers start daemons; `start` starts the app again, `daemon` returns the pid of a new daemon."""

    app: App
    start: Callable[[], App]
    daemon: Callable[[], int]

    def running(self) -> int:
        """Start a daemon; return its pid when it is one."""
        pid = self.daemon()
        wait_until(lambda: processes.command_line(pid) == ["sleep", "300"], "the daemon runs")
        assert os.getsid(pid) == pid
        return pid


def by_request(app: App) -> int:
    pid = app.get("/daemon").json()["child"]
    assert isinstance(pid, int)
    return pid


def by_line(app: App, line: str = "") -> int:
    count = app.log("out").count("\n")
    app.ok("send", line)
    wait_until(lambda: app.log("out").count("\n") == count + 1, "it says its pid")
    return int(app.log("out").split()[-1])


@pytest.fixture(params=["python", "node", "fork"])
def daemons(request: pytest.FixtureRequest, fastlb: Fastlb, tmp_path: Path) -> Daemons:
    """An app of each kind."""
    quick = ("--settle", "0.1", "--kill-timeout", "1", "--restart-delay", "10ms")
    if request.param == "fork":
        write_program(tmp_path / "worker.sh", DAEMONS)
        start = partial(start_program, fastlb, tmp_path, "worker.sh", *quick)
        app = start()
        return Daemons(app, start, partial(by_line, app))
    if request.param == "node":
        start = partial(start_node, fastlb, "starts_daemon.js", *quick, workers=1)
    else:
        start = partial(fastlb.start, "forks:app", "--workers", "1", *quick)
    app = start()
    return Daemons(app, start, partial(by_request, app))


def test_daemons_end_with_the_process_that_started_them(daemons: Daemons) -> None:
    app = daemons.app
    daemon = daemons.running()
    (worker,) = app.worker_pids
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: app.entry()["restarts"] == 1, "it is started anew")
    assert not processes.is_running(daemon), "gone before the next process comes"
    app.wait_online(1)
    assert f"strays_killed worker_id=0 pids={daemon}" in app.log("supervisor")
    daemon = daemons.running()
    app.ok("stop")
    assert not processes.is_running(daemon)


@pytest.mark.parametrize("command", ["start", "stop"])
def test_daemons_of_a_supervisor_that_was_killed(fastlb: Fastlb, daemons: Daemons, command: str) -> None:
    app = daemons.app
    daemon = daemons.running()
    (worker,) = app.worker_pids
    os.kill(app.supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not processes.is_running(worker), "its worker has ended")
    assert processes.is_running(daemon)
    if command == "start":
        daemons.start()
        wait_until(lambda: not processes.is_running(daemon), "the next supervisor has ended it")
        assert fastlb.app().worker_pids
    else:
        app.ok("stop")
        assert not processes.is_running(daemon)


def test_nothing_is_touched_that_is_not_the_apps(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", DAEMONS)
    app = start_program(fastlb, tmp_path, "worker.sh")
    other = start_program(fastlb, tmp_path, "worker.sh", name="other")
    of_shell = subprocess.Popen(["sleep", "300"], start_new_session=True)
    of_other, free = by_line(other), by_line(app, "free")
    try:
        wait_until(lambda: processes.command_line(free) == ["sleep", "300"], "the daemon runs")
        app.ok("stop")
        app.ok("delete")
        alive = [pid for pid in (of_shell.pid, of_other, free) if processes.is_running(pid)]
        assert alive == [of_shell.pid, of_other, free]
    finally:
        of_shell.kill()
        of_shell.wait()
        os.kill(free, signal.SIGKILL)


def test_app_that_a_worker_starts_outlives_the_worker(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "hook.sh", f"{COMMAND} start --name other --settle 0.1 sleep -- 100; read line")
    app = start_program(fastlb, tmp_path, "hook.sh")
    wait_until(lambda: (fastlb.home / "apps" / "other" / "config.json").exists(), "it has started the other app")
    fastlb.app("other").wait_online(1)
    before = fastlb.app("other").worker_pids
    app.ok("stop")
    assert fastlb.app("other").worker_pids == before


def test_orphans_of_workers_leave_no_zombies(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "for i in 1 2 3 4 5; do (sleep 0.01 &); done; read line")
    app = start_program(fastlb, tmp_path, "worker.sh")
    wait_until(lambda: processes.children(app.supervisor_pid) == app.worker_pids, "orphans are collected")
