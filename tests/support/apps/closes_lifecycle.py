"""/close-lifecycle closes the worker's channel to the supervisor, as code that closes what it does not know may."""

import os
from pathlib import Path

import asgi_probe
from asgi_probe import Message, Receive, Send


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Serve one scope."""
    if scope["type"] == "http" and scope["path"] == "/close-lifecycle":
        *_, lifecycle_fd, _ = Path("/proc/self/cmdline").read_text().split("\0")
        os.close(int(lifecycle_fd))
    await asgi_probe.app(scope, receive, send)
