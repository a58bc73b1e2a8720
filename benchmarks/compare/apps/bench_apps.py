"""The apps that every server in the comparison runs. They do as little as an app can."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

BLOCKING_SECONDS = 0.05
MODEL_SECONDS = 0.00833
HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}
BODY = {"type": "http.response.body", "body": b"hello"}
WSGI_HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "5")]


async def hello_asgi(scope: Message, receive: Receive, send: Send) -> None:
    """Five bytes; /block holds the event loop before."""
    if scope["type"] == "lifespan":
        await serve_lifespan(receive, send)
        return
    if scope["path"] == "/block":
        time.sleep(BLOCKING_SECONDS)
    await send(dict(HEAD))
    await send(dict(BODY))


async def serve_lifespan(receive: Receive, send: Send) -> None:
    """Start and stop."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def hello_wsgi(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
    """Five bytes."""
    start_response("200 OK", WSGI_HEADERS)
    return [b"hello"]


def model_wsgi(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
    """Five bytes after 8.33 ms: a worker that serves 120 requests a second, one at a time."""
    time.sleep(MODEL_SECONDS)
    return hello_wsgi(environ, start_response)
