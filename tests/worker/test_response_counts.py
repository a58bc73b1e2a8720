"""Responses are counted on the page by their status, whoever serves, and whatever the app does wrong."""

import os
from pathlib import Path

import pytest
from fastlb.lb.page import WorkerPageView, WorkerStatus, create_worker_page

from tests.support.raw_http import RawClient, get
from tests.support.waiting import wait_until
from tests.support.worker_process import serving_worker

WSGI = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("asked to fail")
    start_response(environ["PATH_INFO"][1:] + " Odd", [("Content-Length", "0")])
    return []
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    if scope["path"] == "/fail":
        raise RuntimeError("asked to fail")
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": int(scope["path"][1:]), "headers": headers})
    await send({"type": "http.response.body"})
"""
KINDS = {"wsgi": (WSGI, "auto"), "fastlb": (ASGI, "fastlb"), "httptools": (ASGI, "httptools"), "h11": (ASGI, "h11")}


@pytest.mark.parametrize("kind", KINDS)
def test_responses_are_counted_by_their_status(tmp_path: Path, kind: str) -> None:
    source, http = KINDS[kind]
    paths = ["/200", "/404", "/200", "/fail", "/599", "/503"]
    expected = {200: 2, 404: 1, 500: 1, 503: 1, 599: 1}
    with serving_worker(tmp_path, source, http=http) as worker:
        for path in paths:
            with RawClient(worker.connect()) as client:
                client.send(get(path)).response()
        wait_until(lambda: sum(worker.page.responses().values()) == len(paths), "every response is counted")
        assert worker.page.responses() == expected


def test_what_is_no_request_has_no_response(tmp_path: Path) -> None:
    with serving_worker(tmp_path, ASGI) as worker:
        with RawClient(worker.connect()) as client:
            assert client.send(b"nonsense\r\n\r\n").response().status == 400
        with RawClient(worker.connect()) as client:
            client.send(get("/204")).response()
        wait_until(lambda: worker.page.responses() == {204: 1}, "the request that was one is counted")


def test_page_tells_so_many_statuses_apart() -> None:
    page_fd = create_worker_page()
    try:
        status = WorkerStatus(page_fd, -1)
        for number in (*range(99, 1001), 100):
            status.record_response(number)
        counted = WorkerPageView(page_fd).responses()
    finally:
        os.close(page_fd)
    assert counted == {100: 2} | dict.fromkeys(range(101, 164), 1)
