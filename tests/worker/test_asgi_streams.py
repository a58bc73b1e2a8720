"""Streams that end when the server shuts down are told when a worker drains, in the ways in which libraries look."""

from pathlib import Path

import pytest

from tests.support.raw_http import RawClient, get
from tests.support.worker_process import serving_worker

# As sse-starlette: from 3.0 on by the first, before it by the second.
WAYS = {
    "handler of SIGTERM": """
import signal

def is_over():
    return signal.getsignal(signal.SIGTERM).__self__.should_exit
""",
    "patched handle_exit": """
from uvicorn.main import Server

exits = []
original = Server.handle_exit

def handle_exit(*arguments):
    exits.append(arguments)
    original(*arguments)

Server.handle_exit = handle_exit

def is_over():
    return bool(exits)
""",
}
ASGI = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not is_over():
        await send({"type": "http.response.body", "body": b"event", "more_body": True})
        await asyncio.wait({asyncio.ensure_future(receive())}, timeout=0.02)
    await send({"type": "http.response.body", "body": b"end"})
"""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_stream_is_told_of_the_drain(tmp_path: Path, way: str, loop: str) -> None:
    with serving_worker(tmp_path, way + ASGI, loop=loop, timeout_keep_alive=0.1) as worker:
        with RawClient(worker.connect()) as client:
            client.send(get("/")).read_until(b"event")
            worker.drain()
            assert client.rest().endswith(b"end\r\n0\r\n\r\n")
        assert worker.wait_exit() == 0
