"""What both kinds of workers answer to every request of http_vectors.py, and how they leave the connection.

However the bytes arrive: all at once, or one by one.
"""

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.raw_http import CutShort, RawClient, get
from tests.support.worker_process import WorkerProcess, serving_worker
from tests.worker.http_vectors import SHOWN_NEXT, VECTORS, Vector

WSGI = """
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [f"[{environ['REQUEST_METHOD']} {environ['PATH_INFO']!r} b={body.decode('latin-1')!r}]".encode()]
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    shown = f"[{scope['method']} {scope['path']!r} b={body.decode('latin-1')!r}]".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": shown})
"""
KINDS = {"wsgi": (WSGI, "auto"), "asgi": (ASGI, "fastlb")}
# Asked last: whoever answers it has left the connection open.
PROBE = "/probe"


@pytest.fixture(scope="module", params=list(KINDS))
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    source, http = KINDS[request.param]
    with serving_worker(tmp_path_factory.mktemp("vectors"), source, http=http) as worker:
        worker.kind = request.param  # type: ignore[attr-defined]
        yield worker


def answers(client: RawClient, is_head: bool) -> str:
    """Return the status of each response, with what it shows, and whether the connection is open."""
    found: list[str] = []
    with contextlib.suppress(CutShort):
        while True:
            response = client.response(head=is_head and not found)
            shown = response.body.decode("latin-1") if response.status == 200 else ""
            if PROBE in shown:
                return " ".join([*found, "open"])
            found.append(f"{response.status}{shown}")
    return " ".join([*found, "closed"])


def expected(worker: WorkerProcess, vector: Vector) -> str:
    kind: str = worker.kind  # type: ignore[attr-defined]
    return (kind == "asgi" and vector.asgi) or vector.answer


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_request_is_answered_as_it_should(worker: WorkerProcess, vector: Vector) -> None:
    with RawClient(worker.connect()) as client:
        client.send(vector.sent + get(PROBE))
        assert answers(client, vector.sent.startswith(b"HEAD")) == expected(worker, vector)


def test_requests_that_come_byte_by_byte_are_answered_alike(worker: WorkerProcess) -> None:
    wrong = {}
    for vector in VECTORS:
        with RawClient(worker.connect()) as client:
            with contextlib.suppress(ConnectionError):
                for byte in vector.sent + get(PROBE):
                    client.send(bytes([byte]))
            answer = answers(client, vector.sent.startswith(b"HEAD"))
            if answer != expected(worker, vector):
                wrong[vector.name] = answer
    assert wrong == {}


def test_the_vectors_are_not_all_alike() -> None:
    assert sum(vector.answer.endswith("open") for vector in VECTORS) > 40
    assert sum(vector.answer == "400 closed" for vector in VECTORS) > 40
    assert sum(SHOWN_NEXT in vector.answer for vector in VECTORS) > 20
