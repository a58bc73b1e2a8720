"""Clients that stop in the middle are let go by every kind of worker: silent, trickling, or taking nothing."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_http import CutShort, RawClient, get, request
from tests.support.waiting import scaled, wait_until
from tests.support.worker_process import WorkerProcess, serving_worker

STALL_TIMEOUT = 0.5
WSGI = """
import itertools

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/endless":
        return itertools.repeat(b"x" * 65536)
    return [str(len(environ["wsgi.input"].read())).encode()]
"""
ASGI = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    if scope["path"] == "/late":
        await asyncio.wait({asyncio.create_task(asyncio.Event().wait())}, timeout=float(scope["query_string"]))
    length, message = 0, {"more_body": scope["path"] != "/endless"}
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            print("client gone", flush=True)
            return
        length += len(message.get("body", b""))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if scope["path"] == "/endless":
        gone = asyncio.create_task(until_gone(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": str(length).encode()})

async def until_gone(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
"""
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "wsgi": (WSGI, {}),
    "fastlb": (ASGI, {"http": "fastlb"}),
    "httptools": (ASGI, {"http": "httptools"}),
    "h11": (ASGI, {"http": "h11"}),
}
PART = {
    "part of a head": b"GET / HTTP/1.1\r\nHo",
    "part of a body": request("POST", "/", "Content-Length: 9") + b"part",
    "part of a chunk": request("POST", "/", "Transfer-Encoding: chunked") + b"9\r\npart",
}


@contextlib.contextmanager
def serving(directory: Path, kind: str) -> Iterator[WorkerProcess]:
    source, settings = KINDS[kind]
    with serving_worker(directory, source, stall_timeout=STALL_TIMEOUT, minimum_rate=0, **settings) as worker:
        yield worker


@pytest.fixture(scope="module", params=list(KINDS))
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    with serving(tmp_path_factory.mktemp("deadlines"), request.param) as worker:
        yield worker


def client_of(worker: WorkerProcess, sent: bytes) -> RawClient:
    return RawClient(worker.connect()).send(sent)


def test_silent_connection_is_closed_without_a_word(worker: WorkerProcess) -> None:
    with client_of(worker, b"") as client:
        assert client.is_closed()


@pytest.mark.parametrize("sent", PART.values(), ids=PART.keys())
def test_request_that_stops_in_the_middle_is_answered_408(worker: WorkerProcess, sent: bytes) -> None:
    with client_of(worker, sent) as client:
        assert client.response().status == 408
        assert client.is_closed()


def test_second_request_that_stops_in_the_middle_is_answered_408(worker: WorkerProcess) -> None:
    with client_of(worker, get("/")) as client:
        assert client.response().status == 200
        assert client.send(b"GET / HT").response().status == 408
        assert client.is_closed()


def test_head_that_trickles_is_not_waited_for_longer(worker: WorkerProcess) -> None:
    with client_of(worker, b"GET /") as client:
        client.socket.settimeout(STALL_TIMEOUT / 10)
        for _ in range(int(scaled(10) / STALL_TIMEOUT * 10)):
            with contextlib.suppress(TimeoutError):
                client.send(b"x")
                assert client.response().status == 408
                return
    pytest.fail("the connection was kept for as long as something came")


def test_body_that_goes_on_is_waited_for(worker: WorkerProcess) -> None:
    # Longer in all than the limit, which is for each part; a part that the machine delays is not this test's matter.
    parts = 8
    with client_of(worker, request("POST", "/", f"Content-Length: {parts}")) as client:
        client.socket.settimeout(STALL_TIMEOUT / 4)
        for _ in range(parts - 1):
            client.send(b"x")
            with pytest.raises(TimeoutError):
                client.response()
        client.socket.settimeout(scaled(10))
        assert client.send(b"x").response().body == str(parts).encode()


def test_client_that_takes_nothing_of_its_response_is_disconnected(worker: WorkerProcess) -> None:
    closed = worker.counters()["closed"]
    with client_of(worker, get("/endless")) as client:
        wait_until(lambda: worker.counters()["closed"] > closed, "the connection is closed")
        with pytest.raises(CutShort):
            client.response()


@pytest.mark.parametrize("kind", ["fastlb", "httptools", "h11"])
def test_client_that_is_not_asked_for_its_body_has_time(tmp_path: Path, kind: str) -> None:
    late = request("POST", f"/late?{4 * STALL_TIMEOUT}", "Content-Length: 4", "Expect: 100-continue")
    with serving(tmp_path, kind) as worker, client_of(worker, late) as client:
        client.read_until(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert client.send(b"body").response().body == b"4"


@pytest.mark.parametrize("kind", ["fastlb", "httptools", "h11"])
def test_client_that_waits_for_a_late_answer_has_time(tmp_path: Path, kind: str) -> None:
    with serving(tmp_path, kind) as worker, client_of(worker, get(f"/late?{4 * STALL_TIMEOUT}")) as client:
        assert client.response().status == 200


@pytest.mark.parametrize("kind", ["fastlb", "httptools", "h11"])
def test_app_is_told_of_a_client_that_stopped_in_its_body(tmp_path: Path, kind: str) -> None:
    with serving(tmp_path, kind) as worker, client_of(worker, PART["part of a body"]) as client:
        assert client.response().status == 408
        wait_until(lambda: "client gone" in worker.read_output(), "the app is told")
