"""What `--ws-max-size`, `--ws-ping-interval` and `--ws-ping-timeout` bound, with each implementation."""

import socket
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket

from tests.support.waiting import scaled
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
IMPLEMENTATIONS = ("websockets", "websockets-sansio")


def read_handshake(client: socket.socket) -> None:
    """Upgrade a connection by hand: what follows is not answered by any library."""
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
    client.sendall(f"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}\r\n\r\n".encode())
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
