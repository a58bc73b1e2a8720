"""After `kill -9` of the supervisor nothing is left, and the next start succeeds."""

import os
import signal
from pathlib import Path

from tests.support.client import Connection
from tests.support.fastlb_process import Fastlb
from tests.support.ports import free_port
from tests.support.waiting import scaled, wait_until


def test_nothing_is_left_when_idle_and_the_next_start_succeeds(fastlb: Fastlb) -> None:
    bind = f"127.0.0.1:{free_port()}"  # one of the kernel's choice may be a client's by then
    app = fastlb.start("asgi_probe:app", "--workers", "2", "--bind", bind)
    os.kill(app.supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not fastlb.pids, "every process is gone")
    assert app.entry()["status"] == "died"
    fastlb.start("asgi_probe:app", "--bind", bind)
    assert app.get().status == 200


def test_killed_supervisor_is_told_from_a_stopped_one_until_it_is_stopped(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    pid = app.supervisor_pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not fastlb.pids, "every process is gone")
    listed = fastlb.ok("list")
    assert listed.stdout.splitlines()[1].split()[:5] == ["0", "app", "cluster", "0", "died"]
    assert f"app was not stopped: its supervisor (pid {pid}) was killed; the last that it wrote: " in listed.stderr
    assert "`fastlb start app` starts it again" in app.show()["last_error"]
    assert app.ok("stop").stdout == "app: its supervisor had died; now it counts as stopped\n"
    assert app.entry()["status"] == "stopped"
    assert app.ok("stop").stdout == "app: stopped already\n"


def test_app_that_went_down_with_the_machine_is_told_from_a_killed_one(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    os.kill(app.supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not fastlb.pids, "every process is gone")
    os.utime(fastlb.home / "apps" / "app" / "lock", (1, 1))  # written before this machine was started
    assert "went down with the machine" in app.show()["last_error"]
    app.ok("stop")


def test_running_request_is_finished_before_the_worker_goes(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    fastlb.allow_left_sockets()
    app = fastlb.start("asgi_probe:app", "--workers", "1", "--kill-timeout", "10")
    with Connection(app.address) as client:
        client.send(f"/until?{gate}")
        wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "the request is being processed")
        os.kill(app.supervisor_pid, signal.SIGKILL)
        gate.touch()
        assert client.receive().status == 200
    wait_until(lambda: not fastlb.pids, "every process is gone")


def test_blocked_worker_is_gone_after_kill_timeout(fastlb: Fastlb) -> None:
    fastlb.allow_left_sockets()
    app = fastlb.start("asgi_probe:app", "--workers", "2", "--kill-timeout", "1")
    with Connection(app.address) as client:
        client.send("/block?60")
        wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "the worker is blocked")
        os.kill(app.supervisor_pid, signal.SIGKILL)
        wait_until(lambda: not fastlb.pids, "every process is gone", timeout=5)


def test_worker_that_is_still_importing_goes_with_the_supervisor(fastlb: Fastlb) -> None:
    fastlb.allow_left_sockets()
    starting = fastlb.popen("start", "imports_for_ever:app", "--name", "app", "--bind", "127.0.0.1:0")
    wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "the app is being imported", timeout=10)
    os.kill(fastlb.app().supervisor_pid, signal.SIGKILL)
    # Nobody waits for what it would serve; kill_timeout (30 s) is for those who serve.
    wait_until(lambda: not fastlb.pids, "every process is gone")
    assert starting.wait(scaled(10)) == 1


def test_two_starts_at_once_exactly_one_wins(fastlb: Fastlb) -> None:
    starting = [fastlb.popen("start", "asgi_probe:app", "--name", "app", "--bind", "127.0.0.1:0") for _ in range(2)]
    ended = [(process.communicate(timeout=scaled(30)), process.returncode) for process in starting]
    assert sorted(code for _, code in ended) == [0, 1], ended
    assert len(fastlb.pids) == 3, "one supervisor, one dispatcher, one worker"
    assert fastlb.app().get().status == 200


def test_stale_directory_does_not_block_a_start(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    os.kill(app.supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not fastlb.pids, "every process is gone")
    directory = fastlb.home / "apps" / "app"
    (directory / "config.json").write_text("{half")
    assert fastlb.cli("list").returncode == 0
    fastlb.start("asgi_probe:app")
    assert app.get().status == 200
