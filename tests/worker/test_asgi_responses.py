"""How the responses of an ASGI app look on the wire: framing, length, version, and what becomes of an app's lies."""

import os
import socket
from collections.abc import Iterator

import pytest

from tests.support.raw_http import CutShort, RawClient, RawResponse, get, request
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker

# The path says what the app does: /STATUS/LENGTH/PARTS...; LENGTH "-": no Content-Length; PARTS: sizes of its messages.
APP = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    _, status, length, *parts = scope["path"].split("/")
    while scope["query_string"] == b"late" and (await receive())["type"] != "http.disconnect":
        pass
    if scope["query_string"] == b"held":
        with open(os.path.join(os.path.dirname(__file__), "gate")) as gate:
            gate.read()
    headers = [(name, value) for name, value in scope["headers"] if name.startswith((b"x-", b"connection"))]
    headers = [(name.removeprefix(b"x-"), value) for name, value in headers if name != b"connection"]
    if length != "-":
        headers += [(b"content-length", part.encode()) for part in length.split(",")]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    for at, size in enumerate(parts):
        message = {"type": "http.response.body", "body": b"x" * int(size), "more_body": at < len(parts) - 1}
        await send(message)
        if scope["query_string"] == b"apart":
            await asyncio.sleep(0)
"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    with serving_worker(tmp_path_factory.mktemp("responses"), APP, http="fastlb") as worker:
        yield worker


def ask(worker: WorkerProcess, sent: bytes, *, head: bool = False) -> tuple[RawResponse, bool]:
    """Return the response, and whether another request is answered after it."""
    with RawClient(worker.connect()).send(sent) as client:
        response = client.response(head=head)
        try:
            return response, client.send(get("/200/-/0")).response().status == 200
        except (CutShort, ConnectionError):
            return response, False


def framing(response: RawResponse) -> str:
    """Return what says how the body ends."""
    if (length := response.header("content-length")) is not None:
        return length
    return response.header("transfer-encoding") or "-"


# target: framing on the wire, length of the body
WHOLE = {
    "/200/-/5": ("5", 5),
    "/200/-/0": ("0", 0),
    "/200/5/5": ("5", 5),
    "/200/5,5/5": ("5", 5),
    "/200/-/5/5": ("chunked", 10),
    "/200/-/5/0/5/0": ("chunked", 10),
    "/200/10/5/5": ("10", 10),
    "/200/10/5/5/0": ("10", 10),
    "/200/-/40000": ("40000", 40000),
    "/200/-/40000/40000": ("chunked", 80000),
    "/200/80000/40000/40000": ("80000", 80000),
    "/200/-/5?apart": ("5", 5),
    "/204/-/0": ("-", 0),
    "/204/0/0": ("-", 0),
    "/204/5/5": ("-", 0),
    "/204/-/5/5": ("-", 0),
    "/304/5/0": ("5", 0),
    "/304/-/5": ("-", 0),
    "/404/-/3": ("3", 3),
    "/799/-/3": ("3", 3),
}


@pytest.mark.parametrize("target", WHOLE)
def test_end_of_a_body_shows(worker: WorkerProcess, target: str) -> None:
    response, is_open = ask(worker, get(target))
    assert (framing(response), len(response.body), is_open) == (*WHOLE[target], True)
    assert response.header("connection") is None


@pytest.mark.parametrize("target", ["/200/-/5", "/200/5/5", "/200/5/0", "/200/-/5/5", "/204/-/0", "/200/-/40000"])
def test_response_to_head_has_no_body(worker: WorkerProcess, target: str) -> None:
    response, is_open = ask(worker, request("HEAD", target), head=True)
    assert (response.body, is_open) == (b"", True)
    assert framing(response) == ("5" if target.startswith("/200/5") else "-")


# target, keep-alive of the client: framing, kept
OLD_CLIENTS = [
    ("/200/-/5", True, "5", True),
    ("/200/-/5", False, "5", False),
    ("/200/10/5/5", True, "10", True),
    ("/200/-/5/5", True, "-", False),
    ("/200/-/5/5", False, "-", False),
]


@pytest.mark.parametrize(("target", "asks_to_keep", "framed", "kept"), OLD_CLIENTS)
def test_client_of_http10_understands_the_end(
    worker: WorkerProcess, target: str, asks_to_keep: bool, framed: str, kept: bool
) -> None:
    lines = "Connection: keep-alive\r\n" if asks_to_keep else ""
    response, is_open = ask(worker, f"GET {target} HTTP/1.0\r\n{lines}\r\n".encode())
    assert (framing(response), is_open) == (framed, kept)
    assert response.header("connection") == ("keep-alive" if kept else "close")
    assert set(response.body) == {ord("x")}


# Nothing is on the wire yet: the client gets 500, and never half of a response.
@pytest.mark.parametrize(
    "target", ["/200/3/5", "/200/5/3", "/200/5,6/5", "/200/-5/5", "/200/9999999999999999999/5", "/99/-/5"]
)
def test_lie_that_is_seen_in_time_becomes_500(worker: WorkerProcess, target: str) -> None:
    response, is_open = ask(worker, get(target))
    assert (response.status, response.header("connection"), is_open) == (500, "close", False)


@pytest.mark.parametrize("target", ["/200/8/5/5", "/200/12/5/5", "/200/90000/40000/40000"])
def test_lie_that_is_seen_late_ends_the_connection(worker: WorkerProcess, target: str) -> None:
    with RawClient(worker.connect()).send(get(target)) as client, pytest.raises(CutShort):
        client.response()


def test_broken_response_that_ends_with_its_connection_is_reset(worker: WorkerProcess) -> None:
    with RawClient(worker.connect()).send(b"GET /200/-/5/x HTTP/1.0\r\n\r\n") as client, pytest.raises(CutShort):
        client.rest()


def test_headers_about_the_connection_are_ours(worker: WorkerProcess) -> None:
    told = ("X-Connection: keep-alive", "X-Keep-Alive: timeout=5", "X-Transfer-Encoding: gzip", "X-Server: app")
    response, is_open = ask(worker, get("/200/-/5/5", *told))
    assert is_open
    assert response.header("transfer-encoding") == "chunked"
    assert response.header("server") == "app"
    assert (response.header("keep-alive"), response.header("connection")) == (None, None)


def test_app_may_end_the_connection(worker: WorkerProcess) -> None:
    response, is_open = ask(worker, get("/200/-/5", "X-Connection: Close"))
    assert (response.header("connection"), is_open) == ("close", False)


def test_client_that_sends_no_more_gets_its_answers(worker: WorkerProcess) -> None:
    with RawClient(worker.connect()).send(get("/200/-/5") + get("/200/-/6?late")).finish() as client:
        assert (client.response().body, client.response().body) == (b"xxxxx", b"xxxxxx")
        assert client.is_closed()


def test_client_that_still_sends_can_read_its_answer(worker: WorkerProcess) -> None:
    with RawClient(worker.connect()) as client:
        client.send(request("POST", "/200/-/5", "X-Connection: close", "Content-Length: 1000000"))
        assert client.response().body == b"xxxxx"
        assert client.send(b"y" * 100_000).is_closed()


def test_client_that_has_sent_another_request_can_read_its_answer(worker: WorkerProcess) -> None:
    gate = worker.output.parent / "gate"
    os.mkfifo(gate)
    before = worker.counters()["requests"]
    connection = worker.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with RawClient(connection).send(get("/200/-/1000000?held", "X-Connection: close")) as client:
        wait_until(lambda: worker.counters()["requests"] == before + 1, "the app holds the loop")
        client.send(get("/200/-/0"))
        gate.write_bytes(b"")
        # Closing with unread bytes would be a reset, and drop what the client has not got.
        assert len(client.response().body) == 1_000_000
        assert client.is_closed()


def test_body_that_the_app_does_not_want_is_no_request(worker: WorkerProcess) -> None:
    _, is_open = ask(worker, request("POST", "/200/-/5", body=get("/500/-/0")))
    assert is_open


def test_client_that_was_not_told_to_send_its_body_is_not_kept(worker: WorkerProcess) -> None:
    sent = request("POST", "/200/-/5", "Content-Length: 5", "Expect: 100-continue")
    with RawClient(worker.connect()).send(sent) as client:
        response = client.response()
        assert (response.status, response.header("connection")) == (200, "close")
        assert client.is_closed()


def test_client_that_does_not_wait_to_be_told_to_send_its_body_is_kept(worker: WorkerProcess) -> None:
    for body in (b"hello", b"x" * 100_000):
        response, is_open = ask(worker, request("POST", "/200/-/5", "Expect: 100-continue", body=body))
        assert (response.status, response.body, is_open) == (200, b"xxxxx", True)


def test_slow_client_holds_the_app_back(worker: WorkerProcess) -> None:
    connection = worker.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    parts = "/".join(["200000"] * 40)
    with RawClient(connection).send(get(f"/200/-/{parts}")) as client:
        client.read_until(b"\r\n\r\n")
        wait_until(lambda: worker.counters()["busy"] == 1, "the app waits for the client")
        with RawClient(worker.connect()) as other:
            assert other.send(get("/200/-/1")).response().body == b"x"
    wait_until(lambda: worker.counters()["busy"] == 0, "the app is told that the client is gone")
