"""Something that is no file where one of ours belongs: nothing waits for it, and a sentence names it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fastlb_process import App, CliResult, Fastlb, describe
from tests.support.waiting import wait_until


@pytest.fixture
def stopped(fastlb: Fastlb) -> App:
    """An app that has run and was stopped."""
    app = fastlb.start("printer:app")
    app.ok("stop")
    return app


@contextmanager
def replaced_by_pipe(path: Path) -> Iterator[Path]:
    """Move a file away and have a FIFO in its place, for a while."""
    path.rename(path.with_name(f"{path.name}.1"))
    os.mkfifo(path)
    try:
        yield path
    finally:
        path.unlink()


def reload_is_said(fastlb: Fastlb, app: App, word: str, kind: str) -> bool:
    """Reload, which makes every log grow; whether the supervisor's log says something about the file `word`."""
    assert fastlb.cli("reload", app.name, timeout=20).returncode == 0
    log = fastlb.home / "logs" / ("app-supervisor.log.1" if kind == "supervisor" else "app-supervisor.log")
    return any("log_not_reopened" in line and word in line for line in log.read_text().splitlines())


def assert_refused(result: CliResult, path: Path) -> None:
    assert result.returncode == 1, describe(result)
    assert str(path) in result.stderr, describe(result)
    assert "not a regular file" in result.stderr, describe(result)
    assert "Traceback" not in result.stderr, describe(result)


@pytest.mark.parametrize(
    "name",
    ["logs/app-supervisor.log", "logs/app-out.log", "logs/app-error.log", "apps/app/lock", "apps/app/config.json"],
)
def test_start_names_a_pipe_where_a_file_of_ours_belongs(fastlb: Fastlb, stopped: App, name: str) -> None:
    with replaced_by_pipe(fastlb.home / name) as path:
        assert_refused(fastlb.cli("start", "app", timeout=20), path)
        assert fastlb.cli("list", timeout=20).returncode == 0
        assert not fastlb.pids


@pytest.mark.parametrize("kind", ["out", "error", "supervisor"])
def test_log_that_was_replaced_by_a_pipe_holds_nobody_up(fastlb: Fastlb, kind: str) -> None:
    app = fastlb.start("printer:app", "--env", "PRINTER_LINES=1", "--settle", "0")
    with replaced_by_pipe(fastlb.home / "logs" / f"app-{kind}.log") as path:
        # A file is looked at once a second.
        wait_until(lambda: reload_is_said(fastlb, app, f"file={path}", kind), "it is said", timeout=15)
        assert app.get().status == 200


def test_supervisors_log_that_was_moved_away_is_written_anew(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--settle", "0")
    path = fastlb.home / "logs" / "app-supervisor.log"
    path.rename(path.with_name("app-supervisor.log.1"))

    def is_written() -> bool:
        app.ok("reload")
        return path.exists() and "reload_done" in path.read_text()

    wait_until(is_written, "the log is there again", timeout=15)
    assert os.readlink(f"/proc/{app.supervisor_pid}/fd/2") == str(path)


def test_logs_of_a_pipe_end_with_a_sentence(fastlb: Fastlb, stopped: App) -> None:
    with replaced_by_pipe(fastlb.home / "logs" / "app-out.log") as path:
        assert_refused(fastlb.cli("logs", "app", "--nostream", timeout=20), path)


def test_control_socket_that_was_removed_is_made_anew(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--settle", "0")
    path = fastlb.home / "apps" / "app" / "control.sock"
    for _ in range(2):
        path.unlink()
        wait_until(path.is_socket, "the socket is there again")
        app.ok("reload")
    assert "control_socket_restored" in app.log("supervisor")


def test_app_without_its_control_socket_can_be_stopped(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app")
    (fastlb.home / "apps" / "app" / "control.sock").unlink()
    assert fastlb.ok("stop", "app").stdout.startswith("app: stopped")
    assert not fastlb.pids


def test_commands_agree_about_an_app_without_its_control_socket(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    supervisor = app.supervisor_pid
    os.kill(supervisor, signal.SIGSTOP)  # so that it is not made anew meanwhile
    (fastlb.home / "apps" / "app" / "control.sock").unlink()
    try:
        for command in (["reload", "app"], ["scale", "app", "2"], ["show", "app"], ["logs", "app", "--follow"]):
            result = fastlb.cli(*command)
            assert result.returncode == 1, describe(result)
            assert "app runs, but does not listen to commands" in result.stderr, describe(result)
        assert "is running already" in fastlb.cli("start", "app").stderr
    finally:
        os.kill(supervisor, signal.SIGCONT)


def test_another_file_in_the_place_of_the_control_socket_is_left_alone(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    path = fastlb.home / "apps" / "app" / "control.sock"
    path.unlink()
    path.write_text("mine")
    wait_until(lambda: "control_socket_missing" in app.log("supervisor"), "it is said")
    fastlb.cli("stop", "app")
    assert not fastlb.pids
    assert path.read_text() == "mine"
    path.unlink()
