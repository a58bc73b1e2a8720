"""Python's development mode finds nothing of ours that nobody closed: in no command, no supervisor, no worker.

What the commands write is checked here, and the logs by the driver when the installation is closed.
"""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Connection
from tests.support.fastlb_process import App, CliResult, Fastlb
from tests.support.waiting import scaled, wait_until

WARNING = "ResourceWarning"
LEAKING = """
import socket

def app(environ, start_response):
    socket.socket()
    start_response("200 OK", [])
    return [b"leaked"]
"""


@pytest.fixture(autouse=True)
def development_mode(fastlb: Fastlb) -> None:
    """As PYTHONDEVMODE=1 in the shell of whoever develops an app: for every process.

    A request that is cut off at the end of an app is a traceback of the app.
    """
    fastlb.allow_in_logs("Traceback")
    fastlb.env["PYTHONDEVMODE"] = "1"


def quiet(result: CliResult, exit_code: int = 0) -> CliResult:
    assert result.returncode == exit_code, result.stderr
    assert WARNING not in result.stderr, result.stderr
    return result


@contextlib.contextmanager
def clients_of(app: App) -> Iterator[None]:
    """Have clients of every sort: silent, in the middle of a request, kept alive, waiting for an answer."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Connection(app.address)) for _ in range(4)]
        clients[0].send("/plain")
        clients[0].receive()
        clients[1].send("/sleep?60")
        clients[2].sock.sendall(b"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        wait_until(lambda: sum(worker["connections"] for worker in app.entry()["workers"]) >= 2, "some are connected")
        yield


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_life_of_an_app(fastlb: Fastlb, target: str) -> None:
    quiet(fastlb.try_start(target, "--workers", "2", "--kill-timeout", "0.5"))
    app = fastlb.app()
    for command in (("reload", "app"), ("scale", "app", "+1"), ("restart", "app"), ("list",), ("show", "app")):
        quiet(fastlb.cli(*command))
    with clients_of(app):
        quiet(fastlb.cli("reload", "app"))
    with clients_of(app):
        quiet(fastlb.cli("stop", "app"))
    for command in (("list",), ("show", "app"), ("logs", "app"), ("delete", "app")):
        quiet(fastlb.cli(*command))


def test_failed_starts(fastlb: Fastlb) -> None:
    quiet(fastlb.try_start("dies_at_import:app"), 1)
    fastlb.start("wsgi_probe:app")
    port = fastlb.app().port
    quiet(fastlb.try_start("wsgi_probe:app"), 1)
    quiet(fastlb.try_start("wsgi_probe:app", "--bind", f"127.0.0.1:{port}", name="second"), 1)


def test_home_that_cannot_be_used(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home, fastlb.env["FASTLB_HOME"] = fastlb.env["FASTLB_HOME"], str(tmp_path / "file" / "home")
    quiet(fastlb.try_start("wsgi_probe:app"), 1)
    fastlb.env["FASTLB_HOME"] = home


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_run_in_the_foreground(fastlb: Fastlb, target: str) -> None:
    process = fastlb.popen("run", target, "--name", "app", "--bind", "127.0.0.1:0", "--kill-timeout", "0.5")
    wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
    with clients_of(fastlb.app()):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=scaled(20))
    assert WARNING not in errors


def test_what_an_app_does_not_close_is_shown(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "leaking.py").write_text(LEAKING)
    app = fastlb.start("leaking:app", "--app-dir", str(tmp_path))
    app.get()
    wait_until(lambda: WARNING in app.log("error"), "the development mode is on")
    fastlb.allow_in_logs(WARNING)
