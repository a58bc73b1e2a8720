"""Never ends its start-up."""

import asyncio

from asgi_probe import Message, Receive, Send


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Wait for ever."""
    await asyncio.Event().wait()
