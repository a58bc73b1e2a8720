"""A client that goes on, but too slowly, is let go: one that sends a body, and one that takes a response."""

import contextlib
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw_http import CutShort, RawClient, get, request
from tests.support.waiting import scaled, wait_until
from tests.support.worker_process import WorkerProcess, serving_worker
from tests.worker.test_client_deadlines import ASGI, WSGI

FILE = """
def app(environ, start_response):
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](open({path!r}, "rb"))
"""
FILE_BYTES = 1 << 34  # no client takes so much in STALL_TIMEOUT

STALL_TIMEOUT = 0.5
FASTEST = 1 << 40  # nobody sends or takes so much in a second
HEADERS = {
    "length": "Content-Length: 1000000000",
    "chunks": "Transfer-Encoding: chunked",
}


@pytest.fixture(scope="module", params=[ASGI, WSGI], ids=["asgi", "wsgi"])
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    directory = tmp_path_factory.mktemp("rate")
    with serving_worker(directory, request.param, stall_timeout=STALL_TIMEOUT, minimum_rate=FASTEST) as worker:
        yield worker


def goes_on(client: RawClient, part: bytes) -> Iterator[None]:
    """Send `part` again and again, sooner than the client would have stopped, until there is an answer."""
    client.socket.settimeout(STALL_TIMEOUT / 10)
    for _ in range(int(scaled(20) / STALL_TIMEOUT * 10)):
        with contextlib.suppress(TimeoutError):
            client.send(part)
            yield


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_body_that_comes_too_slowly_is_answered_408(worker: WorkerProcess, header: str) -> None:
    part = b"5\r\nabcde\r\n" if "chunked" in header else b"abcde"
    with RawClient(worker.connect()).send(request("POST", "/", header)) as client:
        for _ in goes_on(client, part):
            with contextlib.suppress(TimeoutError):
                assert client.response().status == 408
                return
    pytest.fail("the body was waited for as long as something came")


def test_client_that_takes_too_slowly_is_disconnected(worker: WorkerProcess) -> None:
    closed = worker.counters()["closed"]
    connection = worker.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that it holds the app back
    with RawClient(connection).send(get("/endless")) as client, pytest.raises(CutShort):
        client.rest()
    wait_until(lambda: worker.counters()["closed"] > closed, "the connection is closed")


def test_client_that_takes_a_file_too_slowly_is_disconnected(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(FILE_BYTES)
    source = FILE.format(path=str(path))
    with serving_worker(tmp_path, source, stall_timeout=STALL_TIMEOUT, minimum_rate=FASTEST) as worker:
        with RawClient(worker.connect()).send(get("/")) as client, pytest.raises(ConnectionError):
            any(not client.socket.recv(65536) for _ in itertools.count())
        worker.wait_closed()


def test_client_that_is_fast_enough_is_served(tmp_path: Path) -> None:
    stall_timeout = scaled(0.3)
    with (
        serving_worker(tmp_path, ASGI, stall_timeout=stall_timeout, minimum_rate=1) as worker,
        RawClient(worker.connect()).send(request("POST", "/", "Content-Length: 20")) as client,
    ):
        client.socket.settimeout(stall_timeout / 10)
        for _ in range(19):
            client.send(b"x")
            with pytest.raises(TimeoutError):
                client.response()
        client.socket.settimeout(scaled(10))
        assert client.send(b"x").response().body == b"20"
