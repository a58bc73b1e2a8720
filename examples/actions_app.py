"""An ASGI app that offers actions: fastlb start examples/actions_app.py:app, then `fastlb trigger actions_app`.

    fastlb trigger actions_app visits
    fastlb trigger actions_app forget /about
    fastlb trigger actions_app stacks
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from fastlb.worker import action

visited: Counter[str] = Counter()


@action
def visits() -> dict[str, int]:
    """How often each path was asked for, in this worker."""
    return dict(visited)


@action
async def forget(path: str = "") -> str:
    """Count a path, or all, from 0 again. A coroutine: it runs on the event loop, between requests."""
    for known in [path] if path else list(visited):
        visited.pop(known, None)
    return f"forgot {path or 'everything'}"


async def app(scope: dict[str, Any], receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
    """Count visits."""
    if scope["type"] != "http":
        return
    visited[scope["path"]] += 1
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": f"visit {visited[scope['path']]}\n".encode()})
