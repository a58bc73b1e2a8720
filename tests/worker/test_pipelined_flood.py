"""A client that floods while its first request is answered is not read, also when its second came with the first."""

import select
import socket
from pathlib import Path

import pytest

from tests.support.raw_http import RawClient
from tests.support.waiting import scaled
from tests.support.worker_process import serving_worker

APP = """
import asyncio

interface = "asgi"
over = asyncio.Event()

async def app(scope, receive, send):
    if scope["path"] == "/over":
        over.set()
    await over.wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})
"""
FLOOD_BYTES = 64 << 20  # far above what the kernel keeps
LENGTH = b"Content-Length: %d\r\n\r\n" % (2 * FLOOD_BYTES)
STALL = 0.5  # so long nothing is taken: then nobody reads


@pytest.mark.parametrize("http", ["fastlb", "httptools", "h11"])
def test_flood_behind_a_request_is_not_read(tmp_path: Path, http: str) -> None:
    with serving_worker(tmp_path, APP, http=http) as worker:
        listener = worker.listeners[0]
        with listener.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\n" + LENGTH)
            worker.hand_over([worker.accept(listener)])  # it finds both requests when it begins
            assert flood(client) < FLOOD_BYTES
        with RawClient(worker.connect()) as other:
            other.send(b"GET /over HTTP/1.1\r\nHost: a\r\n\r\n")
            assert other.response().status == 200


def flood(client: socket.socket) -> int:
    """Send until nothing is taken any more; return how many bytes were."""
    client.setblocking(False)
    sent = 0
    while sent < FLOOD_BYTES and select.select([], [client], [], scaled(STALL))[1]:
        sent += client.send(b"x" * 65536)
    return sent
