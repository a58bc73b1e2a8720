"""An ASGI app of which every request fails. Runs in a worker."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from asgi_probe import serve_lifespan

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Raise for every request."""
    if scope["type"] == "lifespan":
        await serve_lifespan(receive, send)
    else:
        raise RuntimeError("asked to fail")
