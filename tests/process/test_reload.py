"""`reload` under load, reload to a release that does not work, and what comes while a reload is running."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.client import Connection
from tests.support.fastlb_process import App, Fastlb, describe
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.waiting import scaled, wait_until

QUICK = ("--workers", "2", "--settle", "0.2", "--listen-timeout", f"{scaled(3):g}")


@pytest.mark.parametrize("keep_alive", [False, True], ids=["new-connections", "keep-alive"])
def test_no_request_fails_during_reloads(fastlb: Fastlb, keep_alive: bool) -> None:
    app = fastlb.start("asgi_probe:app", *QUICK)
    with LoadProcess(Plan(address=app.address, keep_alive=keep_alive)) as load:
        for _ in range(3):
            before = set(app.worker_pids)
            app.ok("reload")
            assert not before & set(app.worker_pids)
            load.wait_for(200)
    assert load.report.failed == 0, load.report
    assert load.report.ok > 600


def test_wsgi_loses_no_request_during_reloads(fastlb: Fastlb) -> None:
    app = fastlb.start("wsgi_probe:app", *QUICK, "--threads", "2")
    with LoadProcess(Plan(address=app.address, keep_alive=True)) as load:
        for _ in range(2):
            app.ok("reload")
            load.wait_for(200)
    assert load.report.failed == 0, load.report


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_client_that_speaks_only_after_the_reload_is_answered(fastlb: Fastlb, target: str) -> None:
    app = fastlb.start(target, *QUICK)
    before = set(app.worker_pids)
    silent = [Connection(app.address) for _ in range(4)]
    wait_until(lambda: sum(w["connections"] for w in app.entry()["workers"]) >= 4, "all four have been taken")
    app.ok("reload")
    assert not before & set(app.worker_pids)
    for client in silent:
        with client:
            assert client.exchange().status == 200


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_idle_keep_alive_client_is_answered_once_more_and_told_to_close(fastlb: Fastlb, target: str) -> None:
    app = fastlb.start(target, *QUICK)
    with Connection(app.address) as client:
        old_pid = client.exchange().json()["pid"]
        app.ok("reload")
        response = client.exchange()
    assert response.json()["pid"] == old_pid
    assert response.headers["connection"] == "close"


def test_request_that_runs_during_the_reload_is_finished_by_the_old_worker(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    app = fastlb.start("asgi_probe:app", "--workers", "1", "--settle", "0.2")
    (old_pid,) = app.worker_pids
    with Connection(app.address) as client:
        client.send(f"/until?{gate}")
        wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "the request is being processed")
        app.ok("reload")
        assert fastlb.requests_begun_and_ended() == (1, 0), "the reload does not wait for old workers"
        gate.touch()
        assert client.receive().json()["pid"] == old_pid


def test_websocket_survives_until_its_end_or_kill_timeout(fastlb: Fastlb) -> None:
    from websockets.sync.client import connect

    app = fastlb.start("asgi_probe:app", *QUICK)
    with connect(f"ws://127.0.0.1:{app.port}/") as websocket:
        websocket.recv()
        app.ok("reload")
        websocket.send("still there")
        assert websocket.recv() == "still there"


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ("dies_at_import", "this app cannot be imported"),
        ("syntax_error", "SyntaxError"),
        ("exits_at_import", ""),
        ("never_ready", ""),
        ("dies_after_ready", ""),
    ],
)
def test_broken_release_changes_nothing(
    fastlb: Fastlb, release: Callable[[str], None], broken: str, expected: str
) -> None:
    fastlb.allow_in_logs("Traceback", "Fatal Python error")
    app = fastlb.start("release:app", *QUICK)
    before = app.worker_pids
    with LoadProcess(Plan(address=app.address)) as load:
        load.wait_for(50)
        release(broken)
        app.ok("set", "settle=20s")  # it dies soon after it is ready, and later on a busy machine
        result = fastlb.cli("reload", app.name)
        last_error = app.show()["last_error"]
        app.ok("set", "settle=200ms")
        load.wait_for(50)
    assert result.returncode == 1, describe(result)
    shown = result.stdout + result.stderr
    assert expected in shown
    assert shown.count("Traceback (most recent call last)") <= 1
    assert app.worker_pids == before
    assert "nothing was changed" in last_error
    assert load.report.failed == 0, load.report
    assert_reload_works_again(app, release)


@pytest.mark.parametrize(
    ("command", "outcome"), [(["scale", "app", "3"], "nothing was changed"), (["restart", "app"], "no worker runs")]
)
def test_failed_scale_and_restart_say_what_runs_now_and_why(
    fastlb: Fastlb, release: Callable[[str], None], command: list[str], outcome: str
) -> None:
    fastlb.allow_in_logs("Traceback")
    app = fastlb.start("release:app", *QUICK)
    release("dies_at_import")
    result = fastlb.cli(*command)
    assert result.returncode == 1
    assert result.stderr.count(outcome) == 1
    assert result.stderr.count("Traceback (most recent call last)") == 1
    release("asgi_probe")
    app.ok("restart")
    app.wait_online(2)


def assert_reload_works_again(app: App, release: Callable[[str], None]) -> None:
    """After a failed reload, a good release can be reloaded."""
    before = set(app.worker_pids)
    release("asgi_probe")
    app.ok("reload")
    assert not before & set(app.worker_pids)


def test_two_reloads_at_once_are_one_after_the_other_or_one_is_refused(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", *QUICK)
    running = [fastlb.popen("reload", "app") for _ in range(2)]
    ended = [(process.communicate(timeout=scaled(30)), process.returncode) for process in running]
    codes = sorted(code for _, code in ended)
    assert codes in ([0, 0], [0, 1]), ended
    app.wait_online(2)
    assert len(fastlb.pids) == 4, "supervisor, dispatcher and two workers: never double workers"


def test_stop_wins_over_a_reload(fastlb: Fastlb, release: Callable[[str], None]) -> None:
    app = fastlb.start("release:app", "--workers", "2", "--listen-timeout", "30")
    release("never_ready")
    reloading = fastlb.popen("reload", "app")
    wait_until(lambda: app.entry()["status"] == "reloading", "the reload is on its way")
    app.ok("stop")
    reloading.communicate(timeout=scaled(20))
    assert reloading.returncode != 0
    assert fastlb.pids == []
