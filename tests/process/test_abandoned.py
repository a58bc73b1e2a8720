"""An app of which every worker was given up, or did not come back: nobody waits for it, and whoever runs it is told."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.client import Connection, get
from tests.support.fastlb_process import App, Fastlb, describe
from tests.support.load_plan import Address
from tests.support.ports import free_port
from tests.support.waiting import scaled, wait_until

# Here nobody else connects: a port of 127.0.0.1 that the kernel chooses may be a client's when the app opens it again.
ANOTHER_ADDRESS = "127.0.0.9:0"
# The first death of a worker is its last.
NO_RESTARTS = ("--max-restarts", "1", "--min-uptime", "60")
SOON = 5.0
EXITS = """
import os
def app(environ, start_response):
    if environ["PATH_INFO"] == "/exit":
        os._exit(int(environ["QUERY_STRING"]))
    start_response("200 OK", [])
    return [b"here"]
"""


def has_nobody(address: Address) -> bool:
    """Whether a client is refused, or reset, soon; one that hangs fails the test."""
    try:
        with Connection(address, timeout=SOON) as client:
            client.send()
            client.receive()
    except ConnectionError:
        return True
    except TimeoutError:
        raise AssertionError("a client hangs") from None
    return False


def refuses(address: Address) -> bool:
    """Whether not even a TCP probe gets through."""
    try:
        Connection(address, timeout=SOON).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except ConnectionResetError:  # it came in between
        return False
    return False


def kill_workers(app: App) -> None:
    """End all workers, and return when they are given up."""
    for pid in app.worker_pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: app.entry()["status"] == "errored", "the app is errored", 15)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for the end of `run`; return its exit code and what it wrote to stderr."""
    _, errors = process.communicate(timeout=scaled(20))
    return process.returncode, errors


class TestForeground:
    """`fastlb run` ends, and its exit code tells how the app ended."""

    @pytest.fixture
    def running(self, fastlb: Fastlb, tmp_path: Path) -> Callable[[str], "subprocess.Popen[str]"]:
        """Run an app of this directory, with one worker that nobody restarts."""
        (tmp_path / "exits.py").write_text(EXITS)

        def run(target: str) -> "subprocess.Popen[str]":
            options = ("--name", "app", "--bind", "127.0.0.1:0", "--workers", "1", "--settle", "0.1", *NO_RESTARTS)
            cwd = tmp_path if target.startswith("exits") else Path(__file__).parents[1] / "support" / "apps"
            process = fastlb.popen("run", target, *options, cwd=cwd)
            wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
            return process

        return run

    @pytest.mark.parametrize("target", ["asgi_probe:app", "exits:app"])
    def test_exit_code_is_the_apps_own(
        self, fastlb: Fastlb, running: Callable[[str], "subprocess.Popen[str]"], target: str
    ) -> None:
        process = running(target)
        with pytest.raises(ConnectionError):
            fastlb.app().get("/exit?7")
        code, errors = ended(process)
        assert code == 7, errors
        assert "error: app has ended: every worker crashed too often: exited with code 7\n" in errors
        assert fastlb.pids == []

    def test_exit_code_0_is_no_success(
        self, fastlb: Fastlb, running: Callable[[str], "subprocess.Popen[str]"]
    ) -> None:
        process = running("asgi_probe:app")
        with pytest.raises(ConnectionError):
            fastlb.app().get("/exit?0")
        assert ended(process)[0] == 1

    def test_signal_is_told_as_a_shell_does(
        self, fastlb: Fastlb, running: Callable[[str], "subprocess.Popen[str]"]
    ) -> None:
        process = running("asgi_probe:app")
        os.kill(fastlb.app().worker_pids[0], signal.SIGKILL)
        code, errors = ended(process)
        assert code == 128 + signal.SIGKILL, errors
        assert "killed by SIGKILL" in errors

    def test_failed_restart_ends_it(self, fastlb: Fastlb, tmp_path: Path) -> None:
        fastlb.allow_in_logs("Traceback")
        release = tmp_path / "release"
        release.write_text("asgi_probe")
        fastlb.env["FASTLB_TEST_RELEASE"] = str(release)
        process = fastlb.popen("run", "release:app", "--name", "app", "--bind", "127.0.0.1:0", "--settle", "0.1")
        wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
        release.write_text("dies_at_import")
        assert fastlb.cli("restart", "app").returncode == 1
        code, errors = ended(process)
        assert code == 1
        assert "error: app has ended: no worker runs now" in errors

    def test_worker_that_is_left_keeps_it_running(self, fastlb: Fastlb) -> None:
        options = ("--name", "app", "--bind", "127.0.0.1:0", "--workers", "2", "--settle", "0.1", *NO_RESTARTS)
        process = fastlb.popen("run", "asgi_probe:app", *options)
        wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
        app = fastlb.app()
        victim, survivor = app.worker_pids
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: app.entry()["status"] == "degraded", "one is given up")
        assert app.get().json()["pid"] == survivor
        app.ok("scale", "1")
        assert app.get().json()["pid"] == survivor
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 0


def a_port(_: Path) -> str:
    """One that the user chose."""
    return f"127.0.0.1:{free_port()}"


def any_port(_: Path) -> str:
    """One that the kernel chooses."""
    return ANOTHER_ADDRESS


def ipv6_port(_: Path) -> str:
    """One of another family."""
    return f"[::1]:{free_port()}"


def unix_path(directory: Path) -> str:
    """A socket file."""
    return f"unix:{directory}/app.sock"


@pytest.mark.parametrize("bind", [a_port, any_port, ipv6_port, unix_path])
def test_clients_of_a_detached_app_are_refused_until_it_is_started_again(
    fastlb: Fastlb, bind: Callable[[Path], str]
) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2", "--bind", bind(fastlb.directory), *NO_RESTARTS)
    with Connection(app.address) as idle:
        idle.exchange()
        kill_workers(app)
        assert idle.sock.recv(1) == b"", "a keep-alive client gets an end"
    wait_until(lambda: refuses(app.address), "clients are refused", SOON)
    os.kill(app.dispatcher_pid, signal.SIGKILL)
    wait_until(lambda: "dispatcher_died" in app.log("supervisor"), "the dispatcher is dead")
    assert refuses(app.address), "by its successor, too"
    binds = app.binds
    for command in ("restart", "reload"):
        app.ok(command)
        assert app.binds == binds
        assert app.get().status == 200
        kill_workers(app)
        wait_until(lambda: refuses(app.address), "clients are refused once more", SOON)


def test_clients_who_wait_are_reset_when_the_last_worker_is_given_up(fastlb: Fastlb) -> None:
    options = ("--workers", "1", "--credit", "4", "--handover-timeout", "30")
    app = fastlb.start("asgi_probe:app", *options, *NO_RESTARTS)
    (pid,) = app.worker_pids
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: processes.is_stopped(pid), "the worker is stopped")
    clients = [Connection(app.address, timeout=15) for _ in range(20)]
    for client in clients:
        client.send()
    wait_until(lambda: app.entry()["workers"][0]["connections"] == 4, "some lie in its channel")
    os.kill(pid, signal.SIGKILL)
    for client in clients:
        with client, pytest.raises(ConnectionError):
            client.receive()
    wait_until(lambda: app.show()["dispatcher"]["held"] == 0, "nobody waits any more")


@pytest.mark.parametrize("command", ["restart", "reload"])
def test_clients_of_an_inherited_socket_are_reset(fastlb: Fastlb, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address: Address = sock.getsockname()[:2]
        options = ("--name", "app", "--bind", f"fd:{sock.fileno()}", "--settle", "0.1", *NO_RESTARTS)
        fastlb.popen("start", "asgi_probe:app", *options, pass_fds=(sock.fileno(),)).communicate(timeout=scaled(20))
        app = fastlb.app()
        kill_workers(app)
        wait_until(lambda: has_nobody(address), "clients are reset", SOON)
        assert not refuses(address), "the socket is somebody else's, who may want to go on with it"
        os.kill(app.dispatcher_pid, signal.SIGKILL)
        assert has_nobody(address), "by its successor, too"
        app.ok(command)
        assert get(address).status == 200


def test_failed_restart_leaves_nobody_waiting(fastlb: Fastlb, tmp_path: Path) -> None:
    fastlb.allow_in_logs("Traceback")
    release = tmp_path / "release"
    release.write_text("asgi_probe")
    fastlb.env["FASTLB_TEST_RELEASE"] = str(release)
    app = fastlb.start("release:app", "--workers", "2", "--bind", f"127.0.0.1:{free_port()}")
    assert app.get().status == 200
    release.write_text("dies_at_import")
    result = fastlb.cli("restart", "app")
    assert result.returncode == 1
    assert "no worker runs now, and clients are refused until a restart succeeds" in result.stderr
    wait_until(lambda: refuses(app.address), "clients are refused", SOON)
    assert app.entry()["status"] == "errored"
    assert fastlb.cli("reload", "app").returncode == 1
    wait_until(lambda: refuses(app.address), "still", SOON)
    release.write_text("asgi_probe")
    app.ok("restart")
    assert app.get().status == 200


def test_address_that_somebody_has_taken_meanwhile_is_told_of(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--bind", f"127.0.0.1:{free_port()}", *NO_RESTARTS)
    address = app.address
    assert not isinstance(address, str)
    kill_workers(app)
    wait_until(lambda: refuses(address), "clients are refused")
    with socket.create_server(address):  # with SO_REUSEADDR
        result = fastlb.cli("restart", "app")
        assert result.returncode == 1, describe(result)
        assert f"port {app.port} is in use by " in result.stderr
        assert app.entry()["status"] == "errored"
    app.ok("restart")
    assert app.get().status == 200


def test_stop_of_an_abandoned_app_leaves_nothing(fastlb: Fastlb) -> None:
    path = fastlb.directory / "app.sock"
    app = fastlb.start("asgi_probe:app", "--bind", f"unix:{path}", *NO_RESTARTS)
    kill_workers(app)
    app.ok("stop")
    assert fastlb.pids == []
    assert not path.exists()
