"""A client that is gone while its app says nothing is noticed; one that only sends no more gets its answer."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw_http import RawClient, get
from tests.support.waiting import wait_until
from tests.support.worker_process import Listener, WorkerProcess, serving_worker

STALL_TIMEOUT = 0.3
UNIX = 1  # number of its listener
FIN_WAIT2 = 5  # a state of TCP: the other kernel has confirmed our end
APP = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    print("begun", flush=True)
    if scope["path"] == "/silent":
        await asyncio.Event().wait()
    if scope["path"] == "/listens":
        while (await receive())["type"] != "http.disconnect":
            pass
        print("told", flush=True)
        return
    await asyncio.wait({asyncio.create_task(asyncio.Event().wait())}, timeout=float(scope["query_string"]))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"late"})
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerProcess]:
    listeners = [Listener(), Listener(socket.AF_UNIX, str(tmp_path / "unix.sock"), UNIX)]
    with serving_worker(tmp_path, APP, listeners, stall_timeout=STALL_TIMEOUT, timeout_keep_alive=60) as worker:
        yield worker


def begun(worker: WorkerProcess, sent: bytes, listener: int = 0) -> RawClient:
    """Return a client whose request runs."""
    client = RawClient(worker.connect(listener)).send(sent)
    wait_until(lambda: "begun" in worker.read_output(), "the app runs")
    return client


def tcp_state(connection: socket.socket) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]  # the first field of tcp_info


def wait_closed(worker: WorkerProcess) -> None:
    wait_until(lambda: worker.counters()["closed"] == worker.position, "the connection is counted as closed")


def test_client_of_a_unix_socket_that_closed_is_noticed(worker: WorkerProcess) -> None:
    begun(worker, get("/silent"), UNIX).socket.close()
    wait_closed(worker)


def test_client_that_closed_is_noticed_when_its_kernel_has_forgotten_it(worker: WorkerProcess) -> None:
    client = begun(worker, get("/silent"))
    # A second in the place of tcp_fin_timeout.
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)
    client.socket.close()
    wait_closed(worker)


def test_reset_behind_the_end_of_sending_is_noticed(worker: WorkerProcess) -> None:
    client = begun(worker, get("/silent")).finish()
    wait_until(lambda: tcp_state(client.socket) == FIN_WAIT2, "it is heard")
    client.leave()
    wait_closed(worker)


def test_reset_behind_a_second_request_is_noticed(worker: WorkerProcess) -> None:
    begun(worker, get("/silent") * 2).leave()
    wait_closed(worker)


@pytest.mark.parametrize("listener", [0, UNIX], ids=["tcp", "unix"])
def test_app_that_ends_when_it_is_told_has_done_nothing_wrong(worker: WorkerProcess, listener: int) -> None:
    with begun(worker, get("/listens"), listener).finish() as client:
        assert client.is_closed()
    worker.wait_closed()
    assert (worker.counters()["errors"], "returned" in worker.read_output()) == (0, False)


@pytest.mark.parametrize("listener", [0, UNIX], ids=["tcp", "unix"])
def test_client_that_sends_no_more_is_answered_however_late(worker: WorkerProcess, listener: int) -> None:
    with begun(worker, get(f"/late?{3 * STALL_TIMEOUT}") * 2, listener).finish() as client:
        assert [client.response().body for _ in range(2)] == [b"late"] * 2
        assert client.is_closed()
