"""Serves, ignores SIGTERM and never ends a request to /forever: only SIGKILL ends it."""

import asyncio
import signal

import asgi_probe
from asgi_probe import Message, Receive, Send


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Serve one scope."""
    # Again at each request: a server's own handler is installed after the import of the app.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if scope["type"] == "http" and scope["path"] == "/forever":
        await asyncio.Event().wait()
    await asgi_probe.app(scope, receive, send)
