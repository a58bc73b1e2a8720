"""Starting a supervisor: what is left when it fails or is given up, and what it passes on."""

import os
import pty
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from fastlb.supervisor.home.app_lock import is_running
from fastlb.supervisor.home.paths import AppPaths

from tests.support import processes
from tests.support.fastlb_process import APPS, COMMAND, Fastlb
from tests.support.waiting import scaled, wait_until


def begin_start_that_never_ends(fastlb: Fastlb, name: str = "app") -> "subprocess.Popen[str]":
    """A start whose worker is loading, for ever."""
    start = fastlb.popen("start", "never_ready:app", "--name", name, "--bind", "127.0.0.1:0")
    log = fastlb.home / "logs" / f"{name}-supervisor.log"
    wait_until(lambda: log.exists() and "worker_started" in log.read_text(), "a worker was started")
    return start


def app_dir(fastlb: Fastlb, name: str = "app") -> Path:
    return fastlb.home / "apps" / name


def test_interrupted_start_leaves_nothing(fastlb: Fastlb) -> None:
    start = begin_start_that_never_ends(fastlb)
    start.send_signal(signal.SIGINT)
    start.communicate(timeout=scaled(30))
    assert start.returncode != 0
    wait_until(lambda: not fastlb.pids, "no process is left")
    assert not app_dir(fastlb).exists()
    fastlb.allow_in_logs("Fatal Python error")


def test_start_whose_launcher_was_killed_leaves_nothing(fastlb: Fastlb) -> None:
    start = begin_start_that_never_ends(fastlb)
    start.kill()
    start.communicate(timeout=scaled(30))
    wait_until(lambda: not fastlb.pids, "no process is left")
    assert not app_dir(fastlb).exists()
    fastlb.allow_in_logs("Fatal Python error")


def test_stop_ends_a_start_under_way(fastlb: Fastlb) -> None:
    start = begin_start_that_never_ends(fastlb)
    fastlb.ok("stop", "app")
    _, errors = start.communicate(timeout=scaled(30))
    assert start.returncode == 1
    assert "stopped before it had started" in errors
    assert not fastlb.pids
    fastlb.allow_in_logs("Fatal Python error")


@pytest.mark.parametrize("command", [["kill"], ["stop", "app"], ["delete", "app"]])
@pytest.mark.parametrize("delay_tries", range(4))
def test_start_that_has_just_begun_is_known_and_can_be_ended(
    fastlb: Fastlb, command: list[str], delay_tries: int
) -> None:
    with fastlb.popen("start", "never_ready:app", "--name", "app", "--bind", "127.0.0.1:0") as start:
        paths = AppPaths(fastlb.home, "app")
        wait_until(lambda: is_running(paths), "the lock is taken")
        for _ in range(delay_tries):
            fastlb.cli("list")  # so that it comes at another moment of the start
        result = fastlb.cli(*command, timeout=30)
        assert result.returncode == 0, result.stderr
        assert "stopped" in result.stdout or "deleted" in result.stdout
        start.communicate()
        assert start.returncode != 0
    assert not fastlb.pids
    assert fastlb.list_json() == []
    fastlb.allow_in_logs("Fatal Python error")


def test_failed_first_start_leaves_nothing_but_its_logs(fastlb: Fastlb) -> None:
    result = fastlb.try_start("dies_at_import:app")
    assert result.returncode != 0
    assert not app_dir(fastlb).exists()
    assert fastlb.list_json() == []
    assert not fastlb.pids
    fastlb.allow_in_logs("Traceback")


def test_failed_start_of_a_known_app_keeps_its_settings(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app", "--workers", "2")
    fastlb.ok("stop", "app")
    before = (app_dir(fastlb) / "config.json").read_bytes()
    result = fastlb.cli("start", "app", "--bind", "192.0.2.1:80")
    assert result.returncode == 1
    assert (app_dir(fastlb) / "config.json").read_bytes() == before
    assert [entry["status"] for entry in fastlb.list_json()] == ["stopped"]


def test_files_are_private_and_the_workers_have_the_callers_umask(fastlb: Fastlb) -> None:
    command = f'umask 0; exec "{COMMAND}" start asgi_probe:app --name app --bind 127.0.0.1:0'
    subprocess.run(["sh", "-c", command], env=fastlb.env, cwd=APPS, check=True, capture_output=True)
    app = fastlb.app()
    for path in [fastlb.home, *fastlb.home.rglob("*")]:
        allowed = 0o640 if path.parent.name == "logs" and path.is_file() else 0o700
        assert stat.S_IMODE(path.stat().st_mode) & ~allowed == 0, path
    [pid] = app.worker_pids
    assert "Umask:\t0000" in Path(f"/proc/{pid}/status").read_text()


def test_supervisor_is_on_its_own_and_can_be_told_apart(fastlb: Fastlb) -> None:
    app = fastlb.start(name="shop")
    pid = app.supervisor_pid
    assert os.getsid(pid) == pid
    assert processes.command_line(pid)[-1] == "shop"
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"


def test_closed_terminal_ends_a_foreground_app(fastlb: Fastlb) -> None:
    terminal, inside = pty.openpty()
    command = [str(COMMAND), "run", "asgi_probe:app", "--name", "app", "--bind", "127.0.0.1:0"]
    # setsid -c gives it the terminal as its controlling one, as a shell would.
    with subprocess.Popen(
        ["setsid", "-c", "-w", *command], env=fastlb.env, cwd=APPS, stdin=inside, stdout=inside, stderr=inside
    ) as running:
        os.close(inside)
        shown = b""
        while b"listens on" not in shown:
            shown += os.read(terminal, 4096)
        wait_until(lambda: fastlb.list_json()[0]["status"] == "online", "it is online")
        os.close(terminal)
        assert running.wait(timeout=scaled(30)) == 0
    assert not fastlb.pids


@pytest.mark.parametrize(
    ("target", "options", "named"),
    [
        ("wsgi_probe:app", ("--limit-concurrency", "5", "--loop", "asyncio", "--ws-max-size", "1M", "--threads", "2"),
         "--loop, --ws-max-size, --limit-concurrency: without effect, as wsgi_probe:app is a WSGI app"),
        ("asgi_probe:app", ("--threads", "4", "--limit-request-body", "1M", "--lifespan", "on"),
         "--threads, --limit-request-body: without effect, as asgi_probe:app is an ASGI app"),
    ],
)  # fmt: skip
def test_options_without_effect_are_named_in_one_line(
    fastlb: Fastlb, target: str, options: tuple[str, ...], named: str
) -> None:
    started = fastlb.try_start(target, "--workers", "2", *options)
    assert started.returncode == 0
    assert [line for line in started.stdout.splitlines() if "without effect" in line] == [f"note: {named}"]
    assert fastlb.app().log("supervisor").count("without effect") == 1
