"""The number of a worker is a target: that worker alone is stopped, started, replaced or removed."""

import os
import signal
from pathlib import Path

import pytest
from fastlb.supervisor.home.paths import AppPaths
from fastlb.supervisor.home.stopped_workers import load_stopped

from tests.support.fastlb_process import App, Fastlb
from tests.support.ports import free_port
from tests.support.programs import write_program
from tests.support.waiting import scaled, wait_until


def statuses(app: App) -> list[tuple[int, str]]:
    return [(worker["id"], worker["status"]) for worker in app.entry()["workers"]]


def wait_statuses(app: App, *expected: tuple[int, str]) -> None:
    wait_until(lambda: statuses(app) == [*expected], f"workers are {expected}", timeout=15)


def kill_all(app: App) -> None:
    for pid in app.worker_pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: app.entry()["status"] == "errored", "the app is errored", 15)


def test_one_worker_is_stopped_and_started_while_the_others_go_on(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "3")
    first, second, third = app.worker_pids
    assert fastlb.ok("stop", "1").stdout == "app: stopped worker 1\n"
    wait_statuses(app, (0, "online"), (1, "stopped"), (2, "online"))
    assert (app.worker_pids, app.entry()["status"]) == ([first, third], "online")
    assert app.get().status == 200
    assert fastlb.ok("list").stdout.splitlines()[2].split()[:5] == ["1", "app", "cluster", "0", "stopped"]
    app.ok("reload")
    wait_statuses(app, (0, "online"), (1, "stopped"), (2, "online"))
    assert fastlb.ok("start", "1").stdout == "app: started worker 1\n"
    wait_statuses(app, (0, "online"), (1, "online"), (2, "online"))
    assert not {first, second, third} & set(app.worker_pids)


def test_one_worker_is_restarted_reloaded_and_removed(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "3")
    first, second, third = app.worker_pids
    assert fastlb.ok("restart", "0").stdout == "app: restarted worker 0\n"
    app.wait_online(3)
    assert app.worker_pids[1:] == [second, third]
    assert fastlb.ok("reload", "2").stdout == "app: reloaded worker 2\n"
    app.wait_online(3)
    assert (app.worker_pids[0] != first, app.worker_pids[1], app.worker_pids[2] != third) == (True, second, True)
    assert fastlb.ok("delete", "1").stdout == "app: removed worker 1\n"
    wait_statuses(app, (0, "online"), (2, "online"))
    assert app.show()["settings"]["workers"] == 2
    assert fastlb.ok("id", "app").stdout == "[ 0, 2 ]\n"
    assert "there is no worker 1: app has 0, 2" in fastlb.cli("stop", "1").stderr


def test_last_worker_that_runs_is_not_stopped_alone(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    fastlb.ok("stop", "0")
    refused = fastlb.cli("stop", "1")
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (
        2,
        "error: no other worker runs: stop the whole app instead, by its name",
    )
    app.ok("scale", "1")
    wait_statuses(app, (1, "online"))
    app.ok("restart")
    wait_statuses(app, (0, "online"))


def test_numbers_of_all_workers_are_the_app(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    assert fastlb.ok("stop", "0", "1").stdout == "app: stopped\n"
    assert app.entry()["status"] == "stopped"
    app.ok("start")
    app.wait_online(2)


@pytest.mark.parametrize("command", ["start", "restart", "reload"])
def test_worker_of_a_stopped_app_starts_alone(fastlb: Fastlb, command: str) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "3")
    app.ok("stop")
    started = fastlb.ok(command, "1").stdout
    assert started.startswith("app: listens on 127.0.0.1:")
    assert started.endswith("; workers 0, 2 stay stopped\n")
    wait_statuses(app, (0, "stopped"), (1, "online"), (2, "stopped"))
    assert app.get().json()["worker"] == 1
    fastlb.ok(command, "2")
    wait_statuses(app, (0, "stopped"), (1, "online"), (2, "online"))
    app.ok("restart")
    wait_statuses(app, *((number, "online") for number in range(3)))


@pytest.mark.parametrize("command", ["start", "restart", "reload"])
def test_number_of_a_worker_that_a_stopped_app_has_no_more_starts_no_other(fastlb: Fastlb, command: str) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "3")
    fastlb.ok("delete", "1")
    wait_until(lambda: fastlb.ok("id", "app").stdout == "[ 0, 2 ]\n", "there are two")
    app.ok("stop")
    refused = fastlb.cli(command, "2")
    said = "error: there is no worker 2: app has 0, 3"
    assert (refused.returncode, refused.stdout, refused.stderr.splitlines()[-1]) == (1, "", said)
    assert app.entry()["status"] == "stopped"


def test_worker_that_was_stopped_stays_so_through_an_update_and_what_was_saved(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    fastlb.ok("stop", "0")
    alone = ((0, "stopped"), (1, "online"))
    app.ok("update")
    wait_statuses(app, *alone)
    fastlb.ok("save")
    fastlb.ok("start", "0")
    wait_statuses(app, (0, "online"), (1, "online"))
    fastlb.ok("kill")
    fastlb.ok("resurrect")
    wait_statuses(app, *alone)
    fastlb.allow_left_sockets()
    os.kill(app.supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not fastlb.pids, "nothing of it runs")
    fastlb.ok("resurrect")
    wait_statuses(app, *alone)
    app.ok("stop")
    app.ok("start")
    wait_statuses(app, (0, "online"), (1, "online"))
    assert not AppPaths(fastlb.home, "app").stopped_workers.exists()


@pytest.mark.parametrize("options", [("--log-files",), ()], ids=["as-a-unit-of-startup", "by-hand"])
def test_app_in_the_foreground_keeps_stopped_what_was_stopped(fastlb: Fastlb, options: tuple[str, ...]) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    fastlb.ok("stop", "0")
    app.ok("stop")
    running = fastlb.popen("run", "app", *options)
    wait_until(lambda: app.entry()["status"] == "online", "it is online", 20)
    wait_statuses(app, (0, "stopped"), (1, "online"))
    fastlb.ok("start", "0")
    wait_statuses(app, (0, "online"), (1, "online"))
    assert load_stopped(AppPaths(fastlb.home, "app")) == []
    app.ok("stop")
    assert running.wait(scaled(20)) == 0


@pytest.mark.parametrize("command", ["start", "restart", "reload"])
def test_worker_that_was_given_up_runs_again_and_has_clients_though_no_other_does(fastlb: Fastlb, command: str) -> None:
    bind = ("--bind", f"127.0.0.1:{free_port()}")  # closed, and opened again
    app = fastlb.start("asgi_probe:app", "--workers", "2", "--max-restarts", "1", "--min-uptime", "60", *bind)
    kill_all(app)
    fastlb.ok(command, "1")
    wait_statuses(app, (0, "errored"), (1, "online"))
    assert app.get().status == 200


def test_program_that_was_given_up_and_does_not_start_again_keeps_its_place(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "job.sh", "[ -e bad ] && exit 3", "exec sleep 1000")
    options = ("--cwd", str(tmp_path), "--settle", f"{scaled(0.5):g}s", "--max-restarts", "1", "--min-uptime", "60")
    fastlb.ok("start", "--fork", "job.sh", "-n", "job", "-w", "2", *options)
    app = fastlb.app("job")
    kill_all(app)
    (tmp_path / "bad").touch()
    assert "worker 1 did not start: exited with code 3" in fastlb.cli("start", "1").stderr
    wait_statuses(app, (0, "errored"), (1, "errored"))
    (tmp_path / "bad").unlink()
    fastlb.ok("start", "1")
    wait_statuses(app, (0, "errored"), (1, "online"))
