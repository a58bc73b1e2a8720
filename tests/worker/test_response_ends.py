"""A response that ends with its connection ends, whoever else holds the connection: a child that the app has."""

import os
import re
from pathlib import Path

import pytest

from tests.support.raw_http import RawClient
from tests.support.worker_process import serving_worker

# ctypes: a child that Python's own hooks do not see, as of a library in C.
FORK = """
import ctypes, os, signal

MUCH = b""

def in_c():
    return ctypes.PyDLL(None).fork()

def answer(path):
    fork = in_c if path == "/c" else os.fork
    child = fork()
    if child == 0:
        while True:
            signal.pause()
    return str(child).encode()
"""
WSGI = """
def app(environ, start_response):
    body = answer(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([body, b" is", b" alive" + MUCH])
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    body = answer(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body + b" is", "more_body": True})
    await send({"type": "http.response.body", "body": b" alive" + MUCH})
"""
HANDSHAKE = (
    b"GET /c HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SOURCES = {"wsgi": WSGI, "fastlb": ASGI, "httptools": ASGI, "h11": ASGI}


# The second is more than the kernel holds for a client: the connection ends after a while of sending.
@pytest.mark.parametrize("much", [0, 12_000_000], ids=["small", "large"])
@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("path", ["/python", "/c"])
def test_response_ended_by_closing_ends_while_a_child_lives(tmp_path: Path, kind: str, path: str, much: int) -> None:
    parser = kind if kind != "wsgi" else "auto"
    source = (FORK + SOURCES[kind]).replace('MUCH = b""', f"MUCH = b'x' * {much}")
    with serving_worker(tmp_path, source, http=parser) as worker:
        with RawClient(worker.connect()) as client:
            body = client.send(b"GET %b HTTP/1.0\r\nHost: test\r\n\r\n" % path.encode()).rest()
        child = int(body.partition(b"\r\n\r\n")[2].removeprefix(b"3\r\n").split()[0])
        os.kill(child, 0)  # it was alive all the time
        assert b" alive" in body


WEBSOCKET = """
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise ValueError(scope["type"])
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": answer(scope["path"]).decode()})
    await send({"type": "websocket.close"})
"""


@pytest.mark.parametrize("library", ["websockets", "websockets-sansio"])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_connection_of_a_websocket_ends_while_a_child_lives(tmp_path: Path, library: str, loop: str) -> None:
    with serving_worker(tmp_path, FORK + WEBSOCKET, ws=library, loop=loop) as worker:
        client = worker.connect()
        client.sendall(HANDSHAKE)
        with RawClient(client) as raw:
            raw.read_until(b"\r\n\r\n")
            (child,) = re.findall(rb"[1-9][0-9]{2,}", raw.read_until(b"\x88"))
            # Our half of the closing handshake: a close frame, masked with zeros.
            raw.send(b"\x88\x80\0\0\0\0").rest()
            os.kill(int(child), 0)
