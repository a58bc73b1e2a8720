"""Many small requests sent at once are all answered, in order, and only a few of them wait as requests."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw_http import RawClient
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker

REQUESTS = 3000
BEGUN = """
import gc, os, time

def waiting():
    return sum(type(found).__name__ in ("Exchange", "RequestResponseCycle") for found in gc.get_objects())
"""
WSGI = """
interface = "wsgi"

def app(environ, start_response):
    body = environ["PATH_INFO"][1:] + ("," + str(waiting()) if environ["PATH_INFO"] in ("/0", "/1000") else "")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
"""
ASGI = """
interface = "asgi"

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    body = scope["path"][1:] + ("," + str(waiting()) if scope["path"] in ("/0", "/1000") else "")
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
"""
SOURCES = {"wsgi": WSGI, "fastlb": ASGI, "httptools": ASGI, "h11": ASGI}
MOST_WAITING = 100


@contextlib.contextmanager
def serving(directory: Path, kind: str) -> Iterator[WorkerProcess]:
    parser = kind if kind != "wsgi" else "auto"
    with serving_worker(directory, BEGUN + SOURCES[kind], http=parser) as worker:
        yield worker


@pytest.mark.parametrize("kind", SOURCES)
def test_small_requests_are_answered_in_order_and_few_wait(tmp_path: Path, kind: str) -> None:
    asked = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(REQUESTS))
    with serving(tmp_path, kind) as worker:
        with RawClient(worker.connect()) as client:
            client.send(asked)
            bodies = [client.response().body.decode() for _ in range(REQUESTS)]
        assert [body.partition(",")[0] for body in bodies] == [str(number) for number in range(REQUESTS)]
        counted = [int(found) for body in bodies for found in re.findall(",([0-9]+)", body)]
        assert len(counted) == 2
        assert max(counted) <= MOST_WAITING
        wait_until(lambda: worker.counters()["open"] == 0, "the connection is closed")


@pytest.mark.parametrize("kind", SOURCES)
def test_body_that_looks_like_many_requests_arrives_whole(tmp_path: Path, kind: str) -> None:
    body = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2000
    head = b"POST /5 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    with serving(tmp_path, kind) as worker, RawClient(worker.connect()) as client:
        client.send(head + body + b"GET /6 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [client.response().body, client.response().body] == [b"5", b"6"]
