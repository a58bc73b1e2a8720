"""Replacing processes that bind their ports themselves: each is gone before its successor starts, and that is said."""

import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.client import get
from tests.support.fastlb_process import App, Fastlb, describe
from tests.support.ports import free_pair
from tests.support.programs import start_program, try_program
from tests.support.waiting import wait_until

SERVER = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{os.environ['NODE_APP_INSTANCE']} {open('release').read()}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
if open("release").read() == "broken":
    sys.exit("no such table")
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
print("listens", flush=True)
server.serve_forever()
"""


@dataclass
class Servers:
    """Two servers, each on a port of its own, that tell which release they run."""

    app: App
    port: int
    directory: Path

    def release(self, name: str) -> None:
        (self.directory / "release").write_text(name)

    def answers(self) -> list[str]:
        return [get(("127.0.0.1", self.port + number), "/").body.decode() for number in range(2)]

    def wait_listening(self, starts: int) -> None:
        wait_until(lambda: self.app.log("out").count("listens") == starts, f"{starts} have listened")


@pytest.fixture
def servers(fastlb: Fastlb, tmp_path: Path) -> Servers:
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "release").write_text("one")
    port = free_pair()
    options = ("--fork", "server.py", "-w", "2", "--increment-var", "PORT", "--env", f"PORT={port}", "--settle", "1s")
    servers = Servers(start_program(fastlb, tmp_path, *options), port, tmp_path)
    servers.wait_listening(2)
    assert servers.answers() == ["0 one", "1 one"]
    return servers


def test_processes_are_replaced_one_by_one_on_the_same_ports(servers: Servers) -> None:
    app, before = servers.app, servers.app.worker_pids
    servers.release("two")
    text = app.ok("reload").stdout
    assert "each after the end of the one before it, whose clients were not kept" in text
    servers.wait_listening(4)
    assert servers.answers() == ["0 two", "1 two"]
    assert not set(before) & set(app.worker_pids)
    log = app.log("supervisor").partition("reload_begun")[2]
    steps = [word for word in log.split() if word in ("worker_exited", "worker_started", "worker_ready")]
    assert steps == ["worker_exited", "worker_started", "worker_ready"] * 2


def test_release_that_does_not_start_costs_one_process(servers: Servers) -> None:
    app, (_, second) = servers.app, servers.app.worker_pids
    servers.release("broken")
    app.ok("set", "settle=30s")  # so slow a machine is none
    failed = app.fastlb.cli("reload", "app")
    app.ok("set", "settle=1s")
    assert failed.returncode == 1
    assert "0 of 2 workers were replaced, and the last one had to go before it failed" in failed.stderr
    assert "no such table" in failed.stderr
    assert app.worker_pids == [second]
    servers.release("three")
    app.ok("reload")
    servers.wait_listening(4)
    assert servers.answers() == ["0 three", "1 three"]


def test_numbers_are_used_again_after_a_scale(servers: Servers) -> None:
    servers.app.ok("scale", "1")
    servers.app.wait_online(1)
    servers.app.ok("scale", "2")
    servers.wait_listening(3)
    assert servers.answers() == ["0 one", "1 one"]


def test_restart_ends_all_before_it_starts_any(servers: Servers) -> None:
    before = servers.app.worker_pids
    servers.app.ok("restart")
    servers.wait_listening(4)
    assert servers.answers() == ["0 one", "1 one"]
    assert not set(before) & set(servers.app.worker_pids)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("-w", "2"), "--increment-var PORT gives each a port of its own, and cluster mode has all workers"),
        (("-w", "1"), "its port is in use (`ss -ltnp` tells by whom)"),
        (("-w", "2", "--increment-var", "PORT"), "its port is in use (`ss -ltnp` tells by whom)"),
    ],
)
@pytest.mark.parametrize("language", ["python", "node"])
def test_port_that_is_in_use_is_said(
    fastlb: Fastlb, tmp_path: Path, language: str, options: tuple[str, ...], told: str
) -> None:
    if not shutil.which("node") and language == "node":
        pytest.skip("there is no node")
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "release").write_text("one")
    (tmp_path / "server.js").write_text("require('http').createServer().listen(process.env.PORT, '127.0.0.1')")
    target = {"python": "server.py", "node": "server.js"}[language]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        if len(options) == 2 and options[1] == "2":
            taken.close()  # they take it from each other
        fastlb.allow_in_logs("Traceback")
        result = try_program(fastlb, tmp_path, "--fork", target, *options, "--env", f"PORT={port}", "--settle", "30s")
    assert result.returncode == 1, describe(result)
    assert told in result.stderr
    assert fastlb.pids == []
