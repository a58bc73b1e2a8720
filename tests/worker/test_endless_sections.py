"""What a client sends besides the body is bounded: heads, pipelined ones as well, trailers, lines of chunks."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.raw_http import CutShort, RawClient, get, request
from tests.support.worker_process import WorkerProcess, serving_worker

LIMIT = 65536
MEBIBYTE = 1024 * 1024
WSGI = """
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(body)).encode()]
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(length).encode()})
"""
CHUNKED = request("POST", "/", "Transfer-Encoding: chunked")
ENDLESS = {
    "trailer": (CHUNKED + b"1\r\nx\r\n0\r\nX-T: ", b"t" * 10_000),
    "trailer lines": (CHUNKED + b"1\r\nx\r\n0\r\n", b"X-T: tttttttttt\r\n" * 600),
    "chunk line": (CHUNKED + b"1;name=", b"e" * 10_000),
    "second head": (get("/") + b"GET / HTTP/1.1\r\nHost: test\r\nX: ", b"x" * 10_000),
    "head": (b"GET / HTTP/1.1\r\nHost: test\r\nX: ", b"x" * 10_000),
}


@pytest.fixture(scope="module", params=["wsgi", "fastlb", "httptools", "h11"])
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    directory: Path = tmp_path_factory.mktemp("bounded")
    if request.param == "wsgi":
        source, settings = WSGI, {}
    else:
        source, settings = ASGI, {"http": request.param}
    with serving_worker(directory, source, limit_request_head=LIMIT, **settings) as worker:
        yield worker


def statuses(client: RawClient) -> list[int]:
    """Return the status of each response until the connection ends, in whatever way."""
    found: list[int] = []
    with contextlib.suppress(CutShort):
        while True:
            found.append(client.response().status)
    return found


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_section_is_refused(worker: WorkerProcess, name: str) -> None:
    begin, more = ENDLESS[name]
    process = psutil.Process(worker.process.pid)
    before = process.memory_info().rss
    with RawClient(worker.connect()) as client:
        client.send(begin)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 16 * MEBIBYTE:
                client.send(more)
                sent += len(more)
        expected = [200, 431] if name == "second head" else [431]
        # What was unread when the worker closed may have reset the connection before the answer was seen.
        assert statuses(client) in (expected, expected[:1], [])
    assert process.memory_info().rss - before < 8 * MEBIBYTE
    with RawClient(worker.connect()) as client:
        assert client.send(get("/")).response().body == b"0"


@pytest.mark.parametrize("name", ENDLESS)
def test_section_that_is_too_long_is_answered_431(worker: WorkerProcess, name: str) -> None:
    begin, more = ENDLESS[name]
    with RawClient(worker.connect()) as client:
        client.send(begin + more * 14)
        assert statuses(client) == ([200, 431] if name == "second head" else [431])


def test_second_head_that_is_too_long_and_complete_is_refused(worker: WorkerProcess) -> None:
    with RawClient(worker.connect()) as client:
        client.send(get("/") + get("/", *[f"X-{number}: {'x' * 1000}" for number in range(120)]))
        assert statuses(client) == [200, 431]


def test_long_body_in_short_chunks_with_a_trailer_is_served(worker: WorkerProcess) -> None:
    head = request("POST", "/", "Transfer-Encoding: chunked", "X-Long: " + "x" * 60_000)
    with RawClient(worker.connect()) as client:
        client.send(head + b"1;a=b\r\nx\r\n" * 40_000 + b"0\r\nX-T: " + b"t" * 30_000 + b"\r\n\r\n" + get("/"))
        assert client.response().body == b"40000"
        assert client.response().body == b"0"


def test_long_body_before_a_second_head_is_no_part_of_it(worker: WorkerProcess) -> None:
    body = b"x" * 300_000
    with RawClient(worker.connect()) as client:
        client.send(request("POST", "/", body=body) + get("/", "X-Long: " + "x" * 50_000)[:-10])
        assert client.response().body == b"300000"
        client.send(get("/", "X-Long: " + "x" * 50_000)[-10:])
        assert client.response().body == b"0"


def test_nothing_of_long_names_and_hosts_is_kept(worker: WorkerProcess) -> None:
    process = psutil.Process(worker.process.pid)
    long = "x" * 20_000
    before = process.memory_info().rss
    with RawClient(worker.connect()) as client:
        for number in range(1000):
            name, host, client_address = f"X-{number}{long}: 1", f"{number}{long}", f"{number}{long}"
            head = f"GET / HTTP/1.1\r\nHost: {host}\r\n{name}\r\nX-Forwarded-For: {client_address}\r\n\r\n"
            assert client.send(head.encode()).response().status == 200
    assert process.memory_info().rss - before < 16 * MEBIBYTE
