"""Offers actions, as ASGI and as WSGI app; /block stands still until somebody opens the FIFO of the variable FIFO."""

import ctypes
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastlb.worker import action

CHUNK = b"hello"


def use_the_processor(seconds: float) -> None:
    """Be what a profile is to show."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


def stand_still_here() -> None:
    """Be what the stacks are to show."""
    with open(os.environ["FIFO"], "rb") as fifo:
        fifo.read()


def hold_the_interpreter() -> None:
    """Let no other thread run for ever, until the process is killed."""
    ctypes.PyDLL(None).pause()


@action
def echo(text: str = "nothing") -> dict[str, str]:
    """Take a parameter, or none."""
    return {"said": text}


@action("say-hello")
async def hello() -> str:
    """Need the loop."""
    return "hello"


@action
def large() -> str:
    """Say more than an answer may have."""
    return "line\n" * 1_000_000


@action
def fails() -> None:
    """Fail as apps do."""
    raise LookupError("as it was told")


def obey(path: str) -> None:
    """Do what a path asks for."""
    if path == "/block":
        stand_still_here()
    elif path == "/hold":
        hold_the_interpreter()
    elif path.startswith("/burn/"):
        use_the_processor(float(path.removeprefix("/burn/")))


async def asgi(scope: dict[str, Any], receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
    """Obey on the event loop."""
    if scope["type"] != "http":
        return
    obey(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": CHUNK})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Obey in a thread of the app."""
    obey(environ["PATH_INFO"])
    start_response("200 OK", [])
    return [CHUNK]
