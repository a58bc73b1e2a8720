"""What an app prints is in its log at once, whatever ends the worker."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.raw_http import RawClient, get
from tests.support.waiting import wait_until
from tests.support.worker_process import serving_worker

WSGI = """
print("at import")

def app(environ, start_response):
    print("a line")
    print("a part", end="")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"said"]
"""
ASGI = """
print("at import")

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    print("a line")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"said"})
"""
BUFFERED = "import sys\nsys.stdout.reconfigure(line_buffering=False)\n"


@pytest.mark.parametrize("source", [WSGI, ASGI], ids=["wsgi", "asgi"])
def test_printed_line_is_seen_at_once_and_survives_the_worker(tmp_path: Path, source: str) -> None:
    assert "PYTHONUNBUFFERED" not in os.environ
    with serving_worker(tmp_path, source) as worker:
        wait_until(lambda: "at import\n" in worker.read_output(), "what was printed at import is seen")
        with RawClient(worker.connect()) as client:
            client.send(get("/")).response()
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.wait_exit()
        assert "a line\n" in worker.read_output()


def test_app_that_wants_its_output_in_blocks_gets_it_so(tmp_path: Path) -> None:
    with serving_worker(tmp_path, BUFFERED + WSGI) as worker:
        with RawClient(worker.connect()) as client:
            client.send(get("/")).response()
        assert "a line" not in worker.read_output()
        worker.drain()
        worker.wait_exit()
        assert "a line\na part" in worker.read_output()
