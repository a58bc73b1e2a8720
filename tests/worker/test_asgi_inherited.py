"""What ASGI apps see of HTTP when uvicorn's protocol classes speak it: as docs/tried-with.md says."""

import json
from pathlib import Path

import pytest

from tests.support.http_exchange import read_response
from tests.support.worker_process import serving_worker

SHOW = """
import json

async def app(scope, receive, send):
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    names = sorted(name.decode() for name, _ in scope["headers"])
    shown = json.dumps({"path": scope["path"], "headers": names, "body": body.decode()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": shown})
"""
TRAILER = b"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Late: 1\r\n\r\n"
UPGRADE = b"POST /u HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize(
    ("request_bytes", "seen"),
    [
        (TRAILER, {"path": "/t", "headers": ["host", "transfer-encoding", "x-late"], "body": "abc"}),
        (UPGRADE, {"path": "/u", "headers": ["connection", "content-length", "host", "upgrade"], "body": ""}),
        (b"GET /n HTTP/1.1\r\n\r\n", {"path": "/n", "headers": [], "body": ""}),
    ],
    ids=["trailers are headers", "a body behind an unknown upgrade is lost", "no host"],
)
def test_app_sees_what_the_page_says(tmp_path: Path, request_bytes: bytes, seen: dict[str, object]) -> None:
    with serving_worker(tmp_path, SHOW, http="httptools") as worker, worker.connect() as client:
        client.sendall(request_bytes)
        assert json.loads(read_response(client).body) == seen
