"""Becomes ready and dies 100 ms later, every time."""

import asyncio
import os

from asgi_probe import Message, Receive, Send, answer, serve_lifespan


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Serve, but not for long."""
    if scope["type"] == "lifespan":
        asyncio.get_running_loop().call_later(0.1, os._exit, 7)
        await serve_lifespan(receive, send)
    elif scope["type"] == "http":
        await answer(scope["path"], scope["query_string"].decode(), send)
