"""An ASGI app that keeps memory: /hoard?64 keeps 64 MiB itself, /child?64 starts a child that does; else answers."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

MEBIBYTE = 1 << 20
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
kept: list[bytes] = []
children: list[int] = []


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Serve one scope."""
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    size = int(scope["query_string"] or b"0") * MEBIBYTE
    if scope["path"] == "/hoard":
        kept.append(os.urandom(size))
    elif scope["path"] == "/child":
        start_child(size)
    body = str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def start_child(size: int) -> None:
    """Fork a child that keeps so many bytes; return when it has them. It goes with its parent."""
    reader, writer = os.pipe()
    parent, gone = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(gone)
        mine = os.urandom(size)
        os.write(writer, b"." if mine else b"!")
        os.read(parent, 1)
        os._exit(0)
    os.close(parent)
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    children.append(gone)
