"""/close-all closes every descriptor above stderr, as libraries that make daemons do, and lives on."""

import os

import asgi_probe
from asgi_probe import Message, Receive, Send


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Serve one scope."""
    if scope["type"] == "http" and scope["path"] == "/close-all":
        os.closerange(3, 1024)
    await asgi_probe.app(scope, receive, send)
