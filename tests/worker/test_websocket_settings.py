"""Websockets: what the `--ws...` settings bound with each implementation, and how a connection is given to one."""

import socket
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket

from tests.support.raw_http import RawClient, get
from tests.support.waiting import scaled, wait_until
from tests.support.worker_process import serving_worker

ECHO = """
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise ValueError(scope["type"])
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        if "text" in message:
            await send({"type": "websocket.send", "text": message["text"]})
"""
LARGE = 8_000_000  # bytes of a response that are not taken at once
DOWNLOAD = f"""
from fastapi import FastAPI, Response, WebSocket
app = FastAPI()

@app.get("/")
async def large() -> Response:
    return Response(b"x" * {LARGE})

@app.websocket("/")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
"""
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
IMPLEMENTATIONS = ("websockets", "websockets-sansio")


def read_handshake(client: socket.socket) -> None:
    """Upgrade a connection by hand: what follows is not answered by any library."""
    client.sendall(UPGRADE + b"\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize("ws", IMPLEMENTATIONS)
def test_message_above_the_largest_closes_with_1009(tmp_path: Path, ws: str) -> None:
    with (
        serving_worker(tmp_path, ECHO, ws=ws, ws_max_size=1000) as worker,
        connect_websocket("ws://test/", sock=worker.connect(), compression=None) as websocket,
    ):
        websocket.send("x" * 1000)
        assert websocket.recv(scaled(5)) == "x" * 1000
        websocket.send("x" * 1001)
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(scaled(5))
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize("ws", IMPLEMENTATIONS)
def test_client_that_answers_no_ping_is_closed(tmp_path: Path, ws: str) -> None:
    with serving_worker(tmp_path, ECHO, ws=ws, ws_ping_interval=0.1, ws_ping_timeout=0.2) as worker:
        client = worker.connect()
        read_handshake(client)
        client.settimeout(scaled(5))
        frames = b""
        while chunk := client.recv(1024):
            frames += chunk
        assert frames[:1] == b"\x89", "a ping comes first"


@pytest.mark.parametrize("ws", IMPLEMENTATIONS)
def test_no_ping_is_sent_when_none_is_wanted(tmp_path: Path, ws: str) -> None:
    with serving_worker(tmp_path, ECHO, ws=ws, ws_ping_interval=0.0, ws_ping_timeout=0.1) as worker:
        client = worker.connect()
        read_handshake(client)
        client.settimeout(scaled(0.5))
        with pytest.raises(TimeoutError):
            client.recv(1024)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("is_first", [True, False])
def test_connection_that_the_implementation_fails_to_begin_is_closed(tmp_path: Path, loop: str, is_first: bool) -> None:
    with serving_worker(tmp_path, DOWNLOAD.replace(str(LARGE), "1"), ws="wsproto", loop=loop) as worker:
        with RawClient(worker.connect()) as client:
            if not is_first:
                assert client.send(get("/")).response().body == b"x"
            client.send(UPGRADE + b"Sec-WebSocket-Protocol: \xe9\r\n\r\n")  # it cannot decode that
            assert client.is_closed()
        worker.wait_closed()


def test_what_was_asked_before_the_upgrade_is_sent_before(tmp_path: Path) -> None:
    with (
        serving_worker(tmp_path, DOWNLOAD, ws="websockets") as worker,
        RawClient(worker.connect()).send(get("/") + UPGRADE + b"\r\n") as client,
    ):
        # The upgrade is seen as soon as the first response is with the transport, which still holds most of it.
        wait_until(lambda: worker.counters()["requests"] == 2, "both have begun")
        assert len(client.response().body) == LARGE
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        assert client.read_exactly(7) == b"\x81\x05hello"
        assert "Traceback" not in worker.read_output()
