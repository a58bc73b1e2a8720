"""An ASGI app whose worker is as well as a file says. Runs in a worker.

/           pid and the headers it was asked with, as JSON
/health     503 while the file HEALTH_FILE names this worker's number, or all; else 200
/block?0.5  time.sleep: nothing else runs
"""

import json
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def is_ill() -> bool:
    """Whether the file says so."""
    path = Path(os.environ["HEALTH_FILE"])
    words = path.read_text().split() if path.exists() else []
    return "all" in words or os.environ["FASTLB_WORKER_ID"] in words


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Serve one scope."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/block":
        time.sleep(float(scope["query_string"]))
    status = 503 if scope["path"] == "/health" and is_ill() else 200
    body = json.dumps({"pid": os.getpid(), "client": scope["client"], "server": scope["server"]}).encode()
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})
