"""How Node workers end: running requests first, then by what signal or message, and nothing is left."""

import os
import signal
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.client import Connection, get
from tests.support.fastlb_process import App, Fastlb
from tests.support.node_driver import start_node, wait_for_answers_of
from tests.support.waiting import scaled, wait_until

QUICK = ("--settle", "0.1")


def wait_for_running_request(fastlb: Fastlb, requests: int = 1) -> None:
    wait_until(lambda: fastlb.requests_begun_and_ended()[0] == requests, "the request is being processed")


def test_running_request_is_answered_by_a_stop(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    app = start_node(fastlb, "http.js")
    with Connection(app.address) as client:
        client.send(f"/until?file={gate}", close=True)
        wait_for_running_request(fastlb)
        stopping = fastlb.popen("stop", "app")
        wait_until(lambda: app.entry()["status"] == "stopping", "the app is stopping")
        gate.touch()
        assert client.receive().status == 200
        _, errors = stopping.communicate(timeout=scaled(20))
    assert stopping.returncode == 0, errors
    assert fastlb.pids == []
    assert "SIG" not in app.log("supervisor"), "every worker has ended by itself"


def test_new_clients_are_refused_during_a_stop(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    app = start_node(fastlb, "http.js")
    address = app.address
    with Connection(address) as client:
        client.send(f"/until?file={gate}", close=True)
        wait_for_running_request(fastlb)
        stopping = fastlb.popen("stop", "app")

        def is_refused() -> bool:
            try:
                Connection(address).close()
            except ConnectionRefusedError:
                return True
            return False

        wait_until(is_refused, "new clients are refused")
        assert fastlb.requests_begun_and_ended() == (1, 0), "the request goes on"
        gate.touch()
        assert client.receive().status == 200
        assert stopping.wait(timeout=scaled(20)) == 0
        stopping.communicate()


@pytest.mark.parametrize("command", ["stop", "restart"])
def test_app_that_holds_a_timer_ends_by_the_signal_and_not_by_kill(fastlb: Fastlb, command: str) -> None:
    app = start_node(fastlb, "holds_timer.js", "--kill-timeout", "600")
    app.get()
    app.ok(command, timeout=20)
    log = app.log("supervisor")
    assert log.count('reason="killed by SIGTERM"') == 2
    assert "SIGKILL" not in log
    assert "worker_cut_off" not in log, "it had no client left"


def test_app_has_kill_timeout_to_clean_up_after_the_signal(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "notes_signals.js", "--env", "EXIT_AFTER=1500", workers=1)
    app.ok("stop", timeout=20)
    assert app.log("out").splitlines()[-2:] == ["got SIGTERM", "cleaned up"]
    (line,) = [line for line in app.log("supervisor").splitlines() if "worker_exited" in line]
    assert line.endswith('reason="exited with code 0"')


def test_connection_that_never_ends_is_cut_off_after_kill_timeout(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--kill-timeout", "1", workers=1)
    with Connection(app.address) as client:
        client.send("/slow?ms=600000")
        wait_for_running_request(fastlb)
        app.ok("stop", timeout=20)
        with pytest.raises(ConnectionError):
            client.receive()
    assert "not finished within kill_timeout (1 s)" in app.log("supervisor")


def test_blocked_worker_is_killed_after_kill_timeout(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "notes_signals.js", "--kill-timeout", "1", workers=1)
    with Connection(app.address) as client:
        client.send("/block?ms=600000")
        wait_for_running_request(fastlb)
        app.ok("stop", timeout=20)
    assert 'reason="killed by SIGKILL"' in app.log("supervisor")


@pytest.mark.parametrize("command", [("stop",), ("reload",), ("scale", "1")], ids=lambda command: command[0])
def test_shutdown_message_is_delivered(fastlb: Fastlb, command: tuple[str, ...]) -> None:
    app = start_node(fastlb, "pm2_style.js", "--shutdown-with-message", *QUICK)
    wait_for_answers_of(app.address)
    app.ok(*command)
    told = 1 if command[0] == "scale" else 2
    wait_until(lambda: app.log("out").count("leaving: shutdown message") == told, "all were told")
    assert "worker_cut_off" not in app.log("supervisor")


def test_no_shutdown_message_unless_it_is_wanted(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "notes_signals.js", workers=1)
    app.ok("stop")
    assert "message" not in app.log("out")


def test_signal_of_pm2_reaches_the_apps_handler(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "notes_signals.js", "--kill-signal", "SIGINT", workers=1)
    app.ok("stop", timeout=20)
    assert app.log("out").splitlines()[-2:] == ["got SIGINT", "cleaned up"]


def test_forced_stop_waits_for_nobody(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--kill-timeout", "600")
    with Connection(app.address) as slow, Connection(app.address) as blocked:
        slow.send("/slow?ms=600000")
        blocked.send("/block?ms=600000")
        wait_for_running_request(fastlb, 2)
        app.ok("stop", "--force", timeout=20)
    assert fastlb.pids == []


def test_forced_stop_ends_a_stop_under_way(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--kill-timeout", "600")
    with Connection(app.address) as client:
        client.send("/slow?ms=600000")
        wait_for_running_request(fastlb)
        stopping = fastlb.popen("stop", "app")
        wait_until(lambda: app.entry()["status"] == "stopping", "it is being stopped")
        app.ok("stop", "--force", timeout=20)
        stopping.communicate(timeout=scaled(10))


def kill_supervisor(app: App) -> list[int]:
    """SIGKILL it; return the pids of the workers that it leaves."""
    app.fastlb.allow_left_sockets()
    workers = app.worker_pids
    os.kill(app.supervisor_pid, signal.SIGKILL)
    return workers


@pytest.mark.parametrize("script", ["http.js", "holds_timer.js", "notes_signals.js"])
def test_nothing_is_left_when_the_supervisor_is_killed(fastlb: Fastlb, script: str) -> None:
    app = start_node(fastlb, script, "--kill-timeout", "2")
    get(app.address)
    workers = kill_supervisor(app)
    assert len(workers) == 2
    wait_until(lambda: not fastlb.pids, "every process is gone", timeout=10)
    assert not any(map(processes.is_running, workers))


def test_running_request_survives_the_death_of_the_supervisor(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    app = start_node(fastlb, "http.js", "--kill-timeout", "10")
    with Connection(app.address) as client:
        client.send(f"/until?file={gate}", close=True)
        wait_for_running_request(fastlb)
        kill_supervisor(app)
        gate.touch()
        assert client.receive().status == 200
    wait_until(lambda: not fastlb.pids, "every process is gone", timeout=10)
