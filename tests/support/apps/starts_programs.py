"""Starts programs that live long and inherit all they can, at its import and with each request; says their pids."""

import json
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

SLEEP = ("/bin/sleep", "600")


def start_programs() -> list[int]:
    """Start one by fork and exec, one by posix_spawn; return their pids."""
    child = subprocess.Popen(SLEEP, close_fds=False)
    child.returncode = 0  # nobody waits for it
    return [child.pid, os.posix_spawn(SLEEP[0], SLEEP, os.environ)]


started_at_import = start_programs()


def body() -> bytes:
    """Start some more; return the pids of all."""
    return json.dumps(started_at_import + start_programs()).encode()


def wsgi(_environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    """Answer one request."""
    start_response("200 OK", [])
    return [body()]


async def asgi(
    scope: dict[str, Any],
    _receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer one request."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body()})
