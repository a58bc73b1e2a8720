"""A response that ends with its connection ends, whoever else holds the connection: a child that the app has."""

import os
from pathlib import Path

import pytest

from tests.support.raw_http import RawClient
from tests.support.worker_process import serving_worker

# ctypes: a child that Python's own hooks do not see, as of a library in C.
FORK = """
import ctypes, os, signal

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
    return iter([body, b" is", b" alive"])
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    body = answer(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body + b" is", "more_body": True})
    await send({"type": "http.response.body", "body": b" alive"})
"""
SOURCES = {"wsgi": WSGI, "httptools": ASGI, "h11": ASGI}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("path", ["/python", "/c"])
def test_response_ended_by_closing_ends_while_a_child_lives(tmp_path: Path, kind: str, path: str) -> None:
    parser = kind if kind != "wsgi" else "auto"
    with serving_worker(tmp_path, FORK + SOURCES[kind], http=parser) as worker:
        with RawClient(worker.connect()) as client:
            body = client.send(b"GET %b HTTP/1.0\r\nHost: test\r\n\r\n" % path.encode()).rest()
        child = int(body.partition(b"\r\n\r\n")[2].removeprefix(b"3\r\n").split()[0])
        os.kill(child, 0)  # it was alive all the time
        assert b" alive" in body
