"""An ASGI worker serves what was handed to it: HTTP, streaming, websockets, options, both loops, both
parsers.
"""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect as connect_websocket

from tests.support.http_exchange import exchange, read_response, request_bytes
from tests.support.waiting import wait_until
from tests.support.worker_process import Listener, serving_worker

HELLO = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})
"""

SHOW_SCOPE = """
import json

async def app(scope, receive, send):
    assert scope["type"] == "http"
    shown = {key: scope[key] for key in ("client", "server", "scheme", "root_path", "path")}
    body = json.dumps(shown).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""

ECHO = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""

# Answers with the head at once, and with the body when the whole request is there.
HEAD_FIRST = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.body", "body": b"late"})
"""

STREAM = """
import asyncio

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in range(100):
        await send({"type": "http.response.body", "body": b"%d," % part * 1000, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"end"})
"""

WEBSOCKET = """
async def app(scope, receive, send):
    assert scope["type"] == "websocket", scope["type"]
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "%s:%d" % tuple(scope["client"])})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"].upper()})
"""

STARLETTE = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

@asynccontextmanager
async def lifespan(app):
    yield {"greeting": "from lifespan"}
    print("shut down", flush=True)

async def home(request):
    return PlainTextResponse(request.state.greeting)

async def stream(request):
    return StreamingResponse(iter(["a", "b", "c"]))

app = Starlette(routes=[Route("/", home), Route("/stream", stream)], lifespan=lifespan)
"""

FASTAPI = """
from fastapi import FastAPI

app = FastAPI()

@app.get("/items/{item_id}")
async def read_item(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}

@app.get("/blocking")
def blocking():
    return "from a thread"
"""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("http", ["fastlb", "httptools", "h11"])
def test_worker_answers_on_one_connection_many_times(tmp_path: Path, loop: str, http: str) -> None:
    with serving_worker(tmp_path, HELLO, loop=loop, http=http) as worker:
        with worker.connect() as client:
            for _ in range(20):
                response = exchange(client)
                assert (response.status, response.body) == (200, b"hello")
                assert {"server", "date"} <= response.headers.keys()
        worker.wait_closed()
        assert worker.counters()["requests"] == 20
        assert sum(worker.page.latency_us()) == 20


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_worker_serves_several_connections_of_one_message(tmp_path: Path, loop: str) -> None:
    with serving_worker(tmp_path, HELLO, loop=loop) as worker:
        clients = [worker.listeners[0].connect() for _ in range(16)]
        worker.hand_over([worker.accept(worker.listeners[0]) for _ in clients])
        for client in clients:
            assert exchange(client).body == b"hello"
        assert worker.counters()["open"] == 16
        for client in clients:
            client.close()
        worker.wait_closed()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("http", ["fastlb", "httptools", "h11"])
def test_scope_has_the_addresses_of_both_sides(tmp_path: Path, loop: str, http: str) -> None:
    path = str(tmp_path / "s")
    listeners = [
        Listener(socket.AF_INET, ("127.0.0.1", 0), listener_id=0),
        Listener(socket.AF_INET, ("0.0.0.0", 0), listener_id=1),
        Listener(socket.AF_INET6, ("::1", 0), listener_id=2),
        Listener(socket.AF_UNIX, path, listener_id=3),
    ]
    with serving_worker(tmp_path, SHOW_SCOPE, listeners, loop=loop, http=http) as worker:
        seen = []
        for index, listener in enumerate(listeners):
            with worker.connect(index) as client:
                scope = json.loads(exchange(client).body)
                seen.append((scope["client"], scope["server"]))
                if listener.socket.family != socket.AF_UNIX:
                    assert scope["client"] == list(client.getsockname()[:2])
        ports = [listener.info.port for listener in listeners]
        assert [server for _, server in seen] == [
            ["127.0.0.1", ports[0]],
            ["127.0.0.1", ports[1]],
            ["::1", ports[2]],
            [path, None],
        ]
        assert seen[3][0] is None


def test_proxy_headers_and_root_path_reach_the_app(tmp_path: Path) -> None:
    with serving_worker(tmp_path, SHOW_SCOPE, root_path="/shop") as worker, worker.connect() as client:
        scope = json.loads(exchange(client, "/a", "x-forwarded-for: 8.8.8.8", "x-forwarded-proto: https").body)
    assert scope == {
        "client": ["8.8.8.8", 0],
        "server": list(worker.listeners[0].address),
        "scheme": "https",
        "root_path": "/shop",
        "path": "/shop/a",
    }


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_large_body_that_arrives_slowly_reaches_the_app(tmp_path: Path, loop: str) -> None:
    with serving_worker(tmp_path, ECHO, loop=loop) as worker:
        body = bytes(range(256)) * 4096
        with worker.connect() as client:
            request = request_bytes("/", method="POST", body=body)
            for start in range(0, len(request), 100_000):
                client.sendall(request[start : start + 100_000])
            assert read_response(client, "POST").body == body
        worker.wait_closed()


def test_client_that_shuts_down_its_side_gets_its_answer(tmp_path: Path) -> None:
    with serving_worker(tmp_path, ECHO) as worker:
        with worker.connect() as client:
            client.sendall(request_bytes("/", method="POST", body=b"last words"))
            client.shutdown(socket.SHUT_WR)
            assert read_response(client, "POST").body == b"last words"
        worker.wait_closed()


def test_streamed_response_is_complete(tmp_path: Path) -> None:
    with serving_worker(tmp_path, STREAM) as worker, worker.connect() as client:
        response = exchange(client)
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.body == b"".join(b"%d," % part * 1000 for part in range(100)) + b"end"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_head_does_not_wait_for_a_body_that_comes_later(tmp_path: Path, loop: str) -> None:
    with serving_worker(tmp_path, HEAD_FIRST, loop=loop) as worker, worker.connect() as client:
        client.sendall(request_bytes("/", method="POST", body=b"ab")[:-1])
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        client.sendall(b"b")
        assert client.recv(100) == b"late"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 3_000_000])
def test_body_of_any_size_follows_its_head(tmp_path: Path, loop: str, size: int) -> None:
    source = HELLO.replace('b"content-length", b"5"', f'b"content-length", b"{size}"')
    source = source.replace('b"hello"', f'b"x" * {size}')
    with serving_worker(tmp_path, source, loop=loop) as worker, worker.connect() as client:
        for _ in range(3):
            assert exchange(client).body == b"x" * size


def test_small_packets_are_not_delayed(tmp_path: Path) -> None:
    """TCP_NODELAY comes with the listener; whichever transport the worker uses must not lose it."""
    source = (
        STREAM.replace("async def app", "async def stream")
        + """
import socket

async def app(scope, receive, send):
    import os
    value = None
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            with socket.socket(fileno=os.dup(fd)) as candidate:
                if candidate.family == socket.AF_INET:
                    value = candidate.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        except OSError:
            pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % value})
"""
    )
    with serving_worker(tmp_path, source) as worker, worker.connect() as client:
        assert exchange(client).body == b"1"


@pytest.mark.parametrize("ws", ["auto", "websockets-sansio"])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_websocket_talks_and_is_no_running_request(tmp_path: Path, ws: str, loop: str) -> None:
    with serving_worker(tmp_path, WEBSOCKET, ws=ws, loop=loop) as worker:
        client = worker.connect()
        host, port = client.getsockname()
        with connect_websocket("ws://test/", sock=client, compression=None) as websocket:
            assert websocket.recv() == f"{host}:{port}"
            websocket.send("hello")
            assert websocket.recv() == "HELLO"
            counters = worker.counters()
            assert (counters["requests"], counters["busy"], counters["oldest_request_ns"]) == (1, 0, 0)
        worker.wait_closed()


def test_websocket_is_refused_when_switched_off(tmp_path: Path) -> None:
    with serving_worker(tmp_path, HELLO, ws="none") as worker, worker.connect() as client:
        upgrade = (
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-key: x",
            "sec-websocket-version: 13",
        )
        assert exchange(client, "/", *upgrade).body == b"hello"


def test_starlette_app_runs_its_lifespan(tmp_path: Path) -> None:
    with serving_worker(tmp_path, STARLETTE) as worker:
        with worker.connect() as client:
            assert exchange(client).body == b"from lifespan"
            assert exchange(client, "/stream").body == b"abc"
        worker.drain()
        assert worker.wait_exit() == 0
        assert "shut down" in worker.read_output()


def test_fastapi_app_is_served(tmp_path: Path) -> None:
    with serving_worker(tmp_path, FASTAPI) as worker, worker.connect() as client:
        assert json.loads(exchange(client, "/items/7?q=x").body) == {"item_id": 7, "q": "x"}
        assert exchange(client, "/items/seven").status == 422
        assert exchange(client, "/blocking").body == b'"from a thread"'


def test_too_large_head_is_refused(tmp_path: Path) -> None:
    with serving_worker(tmp_path, HELLO, limit_request_head=2000) as worker:
        with worker.connect() as client:
            assert exchange(client, "/", "x-small: " + "a" * 1500).status == 200
            assert exchange(client, "/", "x-large: " + "a" * 2500).status == 431
        with worker.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nx-large: ")
            for _ in range(30):
                client.sendall(b"a" * 100)
            assert read_response(client).status == 431
        worker.wait_closed()


def test_head_limit_does_not_touch_bodies(tmp_path: Path) -> None:
    with serving_worker(tmp_path, ECHO, limit_request_head=2000) as worker, worker.connect() as client:
        for body in (b"b" * 500_000, b"\r\n" * 100_000):
            client.sendall(request_bytes("/", method="POST", body=body))
            assert read_response(client, "POST").body == body


def test_limit_concurrency_answers_503(tmp_path: Path) -> None:
    with serving_worker(tmp_path, HELLO, limit_concurrency=3) as worker:
        idle = [worker.connect() for _ in range(3)]
        with worker.connect() as client:
            assert exchange(client).status == 503
        for client in idle:
            client.close()


def test_idle_connection_ends_after_the_keep_alive_timeout(tmp_path: Path) -> None:
    with serving_worker(tmp_path, HELLO, timeout_keep_alive=0.1) as worker, worker.connect() as client:
        exchange(client)
        assert client.recv(1) == b""


@pytest.mark.parametrize("settings", [{"access_log": True}, {"access_log": False}])
def test_access_log_is_written_when_asked_for(tmp_path: Path, settings: dict[str, Any]) -> None:
    with serving_worker(tmp_path, HELLO, **settings) as worker:
        with worker.connect() as client:
            exchange(client, "/logged")
        worker.drain()
        worker.wait_exit()
        assert ('"GET /logged HTTP/1.1" 200' in worker.read_output()) == settings["access_log"]


def test_headers_that_are_switched_off_are_not_sent(tmp_path: Path) -> None:
    with serving_worker(tmp_path, HELLO, server_header=False, date_header=False) as worker, worker.connect() as client:
        assert exchange(client).headers == {"content-length": "5"}


@pytest.mark.parametrize("log_level", ["info", "critical"])
def test_failing_request_is_counted_and_answered_with_500(tmp_path: Path, log_level: str) -> None:
    source = "async def app(scope, receive, send):\n    raise ValueError('oops')\n"
    with serving_worker(tmp_path, source, log_level=log_level) as worker:
        with worker.connect() as client:
            assert exchange(client).status == 500
        worker.wait_closed()
        wait_until(lambda: worker.counters()["errors"] == 1, "the error is counted")
        assert ("ValueError: oops" in worker.read_output()) == (log_level == "info")


def test_running_request_shows_on_the_page(tmp_path: Path) -> None:
    source = """
import asyncio
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await asyncio.Event().wait()
"""
    with serving_worker(tmp_path, source) as worker, worker.connect() as client:
        client.sendall(request_bytes())
        wait_until(lambda: worker.counters()["requests"] == 1, "the request runs")
        assert worker.counters()["busy"] == 1
        wait_until(lambda: worker.counters()["oldest_request_ns"] > 0, "a heartbeat tells of it")
        before = worker.counters()["heartbeat_ns"]
        wait_until(lambda: worker.counters()["heartbeat_ns"] > before, "the next heartbeat")
