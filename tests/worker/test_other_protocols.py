"""What looks like HTTP and is not for an HTTP server gets 400 from both kinds of workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw_http import RawClient, get, request
from tests.support.worker_process import WorkerProcess, serving_worker
from tests.worker.test_endless_sections import ASGI, WSGI, statuses

RTSP = b"GET / RTSP/1.0\r\nHost: test\r\n\r\n"


@pytest.fixture(scope="module", params=["wsgi", "fastlb", "httptools", "h11"])
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    directory: Path = tmp_path_factory.mktemp("protocols")
    source, settings = (WSGI, {}) if request.param == "wsgi" else (ASGI, {"http": request.param})
    with serving_worker(directory, source, **settings) as worker:
        yield worker


@pytest.mark.parametrize(
    "sent",
    [
        RTSP,
        b"\r\n" + RTSP,
        b"DESCRIBE /movie RTSP/1.0\r\n\r\n",
        b"SOURCE /radio ICE/1.0\r\nHost: test\r\n\r\n",
        get("*"),
    ],
)
def test_request_that_is_not_for_us_is_refused(worker: WorkerProcess, sent: bytes) -> None:
    with RawClient(worker.connect()).send(sent + get("/")) as client:
        assert statuses(client) == [400]


def test_responses_of_before_are_complete(worker: WorkerProcess) -> None:
    with RawClient(worker.connect()).send(get("/") + RTSP + get("/")) as client:
        assert statuses(client) == [200, 400]


@pytest.mark.parametrize("body", [b"SETUP * RTSP/1.0\r\n\r\n", b"x\nGET / ICE/1.0\r\n" * 9000])
def test_body_may_look_like_one(worker: WorkerProcess, body: bytes) -> None:
    with RawClient(worker.connect()).send(request("POST", "/", f"Content-Length: {len(body)}") + body) as client:
        assert client.response().body == str(len(body)).encode()


def test_asterisk_is_for_options(worker: WorkerProcess) -> None:
    with RawClient(worker.connect()).send(request("OPTIONS", "*")) as client:
        assert client.response().status == 200
