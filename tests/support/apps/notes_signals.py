"""An ASGI app that says which signal ends it; a request to /forever never ends."""

import asyncio
import os
import signal

import asgi_probe
from asgi_probe import Message, Receive, Send


def end(number: int, _frame: object) -> None:
    """Say it and end."""
    os.write(1, f"got {signal.Signals(number).name}\n".encode())
    os._exit(0)


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Serve one scope."""
    # At each request: a server's own handlers are installed after the import of the app.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    if scope["type"] == "http" and scope["path"] == "/forever":
        await asyncio.Event().wait()
    await asgi_probe.app(scope, receive, send)
