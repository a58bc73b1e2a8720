"""How an ASGI worker ends: quietly at the end of its channel, at once on signals, surely without its
supervisor.
"""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket

from tests.support.http_exchange import exchange, read_response, request_bytes
from tests.support.waiting import scaled, wait_until
from tests.support.worker_process import serving_worker
from tests.worker.test_asgi_serving import HELLO, WEBSOCKET

# Answers when something is written to the FIFO "go" beside the app.
WAITS = """
import asyncio, os, pathlib

async def gate_opens():
    opened = asyncio.Event()
    fd = os.open(pathlib.Path(__file__).parent / "go", os.O_RDWR | os.O_NONBLOCK)
    asyncio.get_running_loop().add_reader(fd, opened.set)
    await opened.wait()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan ended", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await gate_opens()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})
"""

# The head of its response is written before the gate opens.
SENDS_HEAD_AND_WAITS = WAITS.replace(
    """    await gate_opens()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
""",
    """    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b".", "more_body": True})
    await gate_opens()
""",
)

BLOCKS = """
import os

async def app(scope, receive, send):
    assert scope["type"] == "http"
    os.read(os.pipe()[0], 1)
"""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[int]:
    """The FIFO that the app of WAITS waits for."""
    os.mkfifo(tmp_path / "go")
    fd = os.open(tmp_path / "go", os.O_RDWR)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("http", ["fastlb", "httptools", "h11"])
def test_client_that_sends_its_first_request_during_the_drain_is_answered(tmp_path: Path, http: str) -> None:
    with serving_worker(tmp_path, HELLO, http=http) as worker:
        silent, kept = worker.connect(), worker.connect()
        exchange(kept)
        wait_until(lambda: worker.counters()["taken"] == 2, "both taken")
        worker.drain()
        wait_until(lambda: "close" in exchange(kept).headers.get("connection", ""), "the end is announced")
        assert kept.recv(1) == b""
        response = exchange(silent)
        assert (response.status, response.headers["connection"]) == (200, "close")
        assert silent.recv(1) == b""
        assert worker.wait_exit() == 0


def test_drain_takes_what_lies_in_the_channel(tmp_path: Path) -> None:
    with serving_worker(tmp_path, HELLO) as worker:
        os.kill(worker.process.pid, signal.SIGSTOP)
        clients = [worker.connect() for _ in range(20)]
        worker.drain()
        os.kill(worker.process.pid, signal.SIGCONT)
        assert [exchange(client).status for client in clients] == [200] * 20
        assert worker.wait_exit() == 0
        worker.wait_closed()


def test_drain_closes_a_silent_connection_after_the_keep_alive_timeout(tmp_path: Path) -> None:
    with serving_worker(tmp_path, HELLO, timeout_keep_alive=0.3) as worker, worker.connect() as silent:
        wait_until(lambda: worker.counters()["taken"] == 1, "taken")
        worker.drain()
        assert silent.recv(1) == b""
        assert worker.wait_exit() == 0


@pytest.mark.parametrize("http", ["fastlb", "httptools", "h11"])
def test_drain_waits_for_a_request_whose_head_is_half_sent(tmp_path: Path, http: str) -> None:
    with serving_worker(tmp_path, HELLO, http=http, timeout_keep_alive=0.1) as worker:
        with worker.connect() as slow, worker.connect() as silent:
            slow.sendall(request_bytes()[:-5])
            wait_until(lambda: worker.counters()["taken"] == 2, "taken")
            worker.drain()
            assert silent.recv(1) == b""  # so the quiet time is over
            slow.sendall(request_bytes()[-5:])
            assert read_response(slow).status == 200
        assert worker.wait_exit() == 0


@pytest.mark.parametrize("http", ["fastlb", "httptools", "h11"])
def test_end_of_the_app_does_not_wait_for_clients_that_ask_nothing(tmp_path: Path, http: str) -> None:
    with serving_worker(tmp_path, HELLO, http=http, timeout_keep_alive=600) as worker:
        silent, kept, slow = worker.connect(), worker.connect(), worker.connect()
        exchange(kept)
        slow.sendall(request_bytes()[:-5])
        wait_until(lambda: worker.counters()["taken"] == 3, "all taken")
        worker.end_app()
        assert kept.recv(1) == b""
        assert silent.recv(1) == b""
        slow.sendall(request_bytes()[-5:])
        assert read_response(slow).status == 200
        assert worker.wait_exit() == 0


@pytest.mark.parametrize("http", ["fastlb", "httptools", "h11"])
def test_end_of_the_app_takes_what_lies_in_the_channel(tmp_path: Path, http: str) -> None:
    with serving_worker(tmp_path, HELLO, http=http, timeout_keep_alive=600) as worker:
        os.kill(worker.process.pid, signal.SIGSTOP)
        clients = [worker.connect() for _ in range(20)]
        for client in clients:
            client.sendall(request_bytes())
        worker.end_app()
        os.kill(worker.process.pid, signal.SIGCONT)
        assert [read_response(client).status for client in clients] == [200] * 20
        assert worker.wait_exit() == 0


def test_end_of_the_app_closes_a_connection_whose_response_had_promised_to_keep_it(tmp_path: Path, gate: int) -> None:
    with serving_worker(tmp_path, SENDS_HEAD_AND_WAITS, timeout_keep_alive=600) as worker, worker.connect() as client:
        silent = worker.connect()
        client.sendall(request_bytes())
        assert client.recv(5) == b"HTTP/"
        worker.end_app()
        assert silent.recv(1) == b""  # so the grace is over
        os.write(gate, b"go")
        received = b"".join(iter(lambda: client.recv(4096), b""))
        assert received.endswith(b"done")
        assert worker.wait_exit() == 0


@pytest.mark.parametrize("http", ["fastlb", "httptools", "h11"])
def test_drain_finishes_running_requests_and_then_the_lifespan(tmp_path: Path, gate: int, http: str) -> None:
    with serving_worker(tmp_path, WAITS, timeout_keep_alive=0.1, http=http) as worker:
        with worker.connect() as client, worker.connect() as silent:
            client.sendall(request_bytes())
            wait_until(lambda: worker.counters()["requests"] == 1, "the request runs")
            worker.drain()
            assert silent.recv(1) == b""
            os.write(gate, b"go")
            response = read_response(client)
            assert (response.body, response.headers["connection"]) == (b"done", "close")
        assert worker.wait_exit() == 0
        assert "lifespan ended" in worker.read_output()
        worker.wait_closed()


def test_drain_tells_websockets_that_the_server_restarts(tmp_path: Path) -> None:
    with serving_worker(tmp_path, WEBSOCKET, timeout_keep_alive=0.2) as worker:
        with connect_websocket("ws://test/", sock=worker.connect(), compression=None) as websocket:
            websocket.recv()
            worker.drain()
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv(scaled(5))
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        assert worker.wait_exit() == 0


def test_websocket_handshake_works_during_the_drain(tmp_path: Path) -> None:
    with serving_worker(tmp_path, WEBSOCKET) as worker:
        client, probe = worker.connect(), worker.connect()
        wait_until(lambda: worker.counters()["taken"] == 2, "taken")
        worker.drain()
        # A plain request fails in this app; that its connection ends shows that the drain has begun.
        wait_until(lambda: "connection" in exchange(probe).headers, "the end is announced")
        with connect_websocket("ws://test/", sock=client, compression=None) as websocket:
            assert ":" in str(websocket.recv())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_finishes_running_requests_and_exits_0(tmp_path: Path, gate: int, number: int) -> None:
    with serving_worker(tmp_path, WAITS) as worker, worker.connect() as client, worker.connect() as idle:
        client.sendall(request_bytes())
        wait_until(lambda: worker.counters()["requests"] == 1, "the request runs")
        os.kill(worker.process.pid, number)
        assert idle.recv(1) == b""
        os.write(gate, b"go")
        assert read_response(client).body == b"done"
        assert worker.wait_exit() == 0
        assert "lifespan ended" in worker.read_output()


def test_signal_during_the_drain_ends_requests_and_still_the_lifespan(tmp_path: Path, gate: int) -> None:
    with serving_worker(tmp_path, WAITS, timeout_keep_alive=0.1) as worker:
        client, silent = worker.connect(), worker.connect()
        client.sendall(request_bytes())
        wait_until(lambda: worker.counters()["requests"] == 1, "the request runs")
        worker.drain()
        assert silent.recv(1) == b""
        os.kill(worker.process.pid, signal.SIGTERM)
        assert worker.wait_exit() == 0
        assert "lifespan ended" in worker.read_output()


def test_idle_worker_ends_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    with serving_worker(tmp_path, HELLO) as worker, worker.connect() as idle:
        exchange(idle)
        begin = time.monotonic()
        worker.disappear()
        worker.wait_exit()
        assert time.monotonic() - begin < scaled(2)


def test_busy_worker_finishes_its_request_when_its_supervisor_is_gone(tmp_path: Path, gate: int) -> None:
    with serving_worker(tmp_path, WAITS) as worker, worker.connect() as client, worker.connect() as idle:
        client.sendall(request_bytes())
        wait_until(lambda: worker.counters()["requests"] == 1, "the request runs")
        worker.disappear()
        assert idle.recv(1) == b""
        os.write(gate, b"go")
        assert read_response(client).body == b"done"
        worker.wait_exit()


def test_blocked_worker_is_killed_with_its_group_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    source = "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\nprint(child.pid, flush=True)\n" + BLOCKS
    with serving_worker(tmp_path, source, kill_timeout=0.2) as worker, worker.connect() as client:
        client.sendall(request_bytes())
        wait_until(lambda: worker.counters()["requests"] == 1, "the interpreter is blocked")
        child = int(worker.read_output().split()[0])
        worker.disappear()
        assert worker.wait_exit() == -signal.SIGKILL
        wait_until(lambda: not is_running(child), "the app's own child is gone")


def is_running(pid: int) -> bool:
    """Say whether `pid` is a process that is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_abort_prints_the_stack_of_a_blocked_worker(tmp_path: Path) -> None:
    with serving_worker(tmp_path, BLOCKS) as worker, worker.connect() as client:
        client.sendall(request_bytes())
        wait_until(lambda: worker.counters()["requests"] == 1, "the interpreter is blocked")
        os.kill(worker.process.pid, signal.SIGABRT)
        assert worker.wait_exit() == -signal.SIGABRT
        assert "app.py" in worker.read_output()


def test_client_that_vanishes_is_counted_as_closed(tmp_path: Path) -> None:
    with serving_worker(tmp_path, HELLO) as worker:
        with worker.connect() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        worker.wait_closed()
