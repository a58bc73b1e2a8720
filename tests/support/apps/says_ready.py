"""Says itself when it is ready: as soon as the file named by FASTLB_TEST_GATE exists."""

import asyncio
import os
from pathlib import Path

import asgi_probe
from asgi_probe import Message, Receive, Send
from fastlb.worker import ready

GATE = Path(os.environ["FASTLB_TEST_GATE"])
background: set[asyncio.Task[None]] = set()


async def wait_for_gate() -> None:
    """Say ready when the gate opens."""
    while not GATE.exists():
        await asyncio.sleep(0.02)
    ready()


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Serve one scope."""
    if scope["type"] == "lifespan":
        background.add(asyncio.create_task(wait_for_gate()))
    await asgi_probe.app(scope, receive, send)
