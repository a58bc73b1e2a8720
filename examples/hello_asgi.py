"""An ASGI app without a framework: says which worker answers. `fastlb start --workers 8 hello_asgi:app`"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Answer every request with the worker's id and pid."""
    if scope["type"] != "http":
        return
    body = f"hello from worker {os.environ.get('FASTLB_WORKER_ID', '?')}, pid {os.getpid()}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
