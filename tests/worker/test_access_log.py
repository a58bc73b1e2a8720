"""Access log lines in a given format, by both kinds of workers alike."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_http import RawClient, get, request
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker

WSGI = """
import threading

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise RuntimeError("asked to fail")
    if path == "/slow":
        threading.Event().wait(float(environ["QUERY_STRING"]))
    start_response("201 Created", [("Content-Type", "text/plain"), ("X-Shop", "north")])
    return iter([b"he", b"llo"]) if path == "/stream" else [b"hello"]
"""
ASGI = """
import asyncio
import threading

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    if scope["path"] == "/fail":
        raise RuntimeError("asked to fail")
    if scope["path"] == "/slow":
        await asyncio.to_thread(threading.Event().wait, float(scope["query_string"]))
    headers = [(b"content-type", b"text/plain"), (b"X-Shop", b"north")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    parts = [b"he", b"llo"] if scope["path"] == "/stream" else [b"hello"]
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})
"""
KINDS = {"wsgi": (WSGI, "auto"), "fastlb": (ASGI, "fastlb"), "httptools": (ASGI, "httptools"), "h11": (ASGI, "h11")}
MARK = "LINE "


def logged(directory: Path, kind: str, text: str, *requests: bytes, **settings: Any) -> list[str]:
    """Return the lines of so many requests, each on a connection of its own."""
    source, http = KINDS[kind]
    settings = {"http": http, "access_log": True, "access_log_format": MARK + text, **settings}
    with serving_worker(directory, source, **settings) as worker:
        for sent in requests:
            with RawClient(worker.connect()) as client:
                client.send(sent).response(head=sent.startswith(b"HEAD"))
        wait_until(lambda: len(lines_of(worker)) == len(requests), "every request has a line")
        return lines_of(worker)


def lines_of(worker: WorkerProcess) -> list[str]:
    return [line.removeprefix(MARK) for line in worker.read_output().splitlines() if line.startswith(MARK)]


@pytest.mark.parametrize("kind", KINDS)
def test_line_tells_of_request_and_response(tmp_path: Path, kind: str) -> None:
    text = '%(h)s "%(r)s" %(m)s %(U)s %(q)s %(s)s %(B)s "%(a)s" %({X-Shop}o)s %({Host}i)s'
    asked = get("/shop/%7e?q=%22", "User-Agent: curl/8")
    expected = '127.0.0.1 "GET /shop/%7e?q=%22 HTTP/1.1" GET /shop/%7e q=%22 201 5 "curl/8" north test'
    assert logged(tmp_path, kind, text, asked) == [expected]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (get("/stream"), "201 5"),
        (request("HEAD", "/"), "201 -"),
        (get("/fail"), "500 2"),
    ],
    ids=["stream", "head", "fail"],
)
def test_status_and_size_are_those_of_the_response(tmp_path: Path, kind: str, sent: bytes, said: str) -> None:
    [line] = logged(tmp_path, kind, "%(s)s %(b)s", sent)
    assert line.startswith(said)


@pytest.mark.parametrize("kind", KINDS)
def test_duration_is_the_time_of_the_response(tmp_path: Path, kind: str) -> None:
    [line] = logged(tmp_path, kind, "%(D)s %(M)s %(L)s %(T)s", get("/slow?0.2"))
    microseconds, milliseconds, seconds, whole = line.split()
    assert 200_000 <= int(microseconds) < 5_000_000
    assert int(milliseconds) == int(microseconds) // 1000
    assert abs(float(seconds) * 1e6 - int(microseconds)) < 2
    assert int(whole) == int(microseconds) // 1_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_headers_of_clients_are_escaped(tmp_path: Path, kind: str) -> None:
    asked = get("/", 'User-Agent: a" 200 \\ \xe9')
    assert logged(tmp_path, kind, '"%(a)s"', asked) == ['"a\\" 200 \\\\ \\xe9"']


@pytest.mark.parametrize("kind", KINDS)
def test_client_behind_a_proxy_is_named(tmp_path: Path, kind: str) -> None:
    assert logged(tmp_path, kind, "%(h)s", get("/", "X-Forwarded-For: 8.8.8.8")) == ["8.8.8.8"]


@pytest.mark.parametrize("kind", KINDS)
def test_prefix_of_the_app_is_not_in_what_the_client_asked_for(tmp_path: Path, kind: str) -> None:
    assert logged(tmp_path, kind, "%(U)s", get("/a"), root_path="/shop") == ["/a"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_request_has_one_line_and_uvicorns_is_not_written(tmp_path: Path, kind: str) -> None:
    source, http = KINDS[kind]
    settings: dict[str, Any] = {"http": http, "access_log": True, "access_log_format": "LINE %(s)s %({PATH}e)s"}
    with serving_worker(tmp_path, source, **settings) as worker:
        with RawClient(worker.connect()) as client:
            for _ in range(3):
                client.send(get("/")).response()
        wait_until(lambda: len(lines_of(worker)) == 3, "three lines")
        assert not re.search(r'"GET / HTTP/1.1" 201', worker.read_output())
        assert "201 /" in lines_of(worker)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_log_a_format_writes_nothing(tmp_path: Path, kind: str) -> None:
    source, http = KINDS[kind]
    with serving_worker(tmp_path, source, http=http, access_log=False, access_log_format="LINE %(s)s") as worker:
        with RawClient(worker.connect()) as client:
            client.send(get("/", "Connection: close")).response()
            assert client.is_closed()
        assert lines_of(worker) == []
