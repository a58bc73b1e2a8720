"""An app that closes standard input, output or error leaves no gap that a socket of its own or of ours would fill."""

from pathlib import Path

import pytest

from tests.support.raw_http import RawClient, get
from tests.support.worker_process import serving_worker

CLOSE = """
import os, socket

def close():
    for fd in (0, 1, 2):
        os.close(fd)

def answer():
    print("a line")
    with socket.socket() as own:
        return str(own.fileno() > 2).encode()
"""
WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer()]
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            started()
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer()})

def started():
    pass
"""
SOURCES = {
    "wsgi": CLOSE + WSGI + "\nclose()\n",
    "asgi": CLOSE + ASGI + "\nclose()\n",
    "asgi at its start": CLOSE + ASGI + "\nstarted = close\n",
}


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_app_without_standard_descriptors_is_served_and_ends_well(tmp_path: Path, source: str, loop: str) -> None:
    with serving_worker(tmp_path, source, loop=loop) as worker:
        with RawClient(worker.connect()) as client:
            response = client.send(get("/", "Connection: close")).response()
            assert (response.status, response.body) == (200, b"True")
        worker.drain()
        assert worker.wait_exit() == 0
