"""An ASGI app that shows what happens to it. Runs in a worker; the path says what to do:

/            {"worker", "pid"} as JSON      /sleep?0.5   the same, after asyncio.sleep
/plain       five bytes                     /block?0.5   the same, after time.sleep: nothing else runs
/print?text  a line to stdout and stderr    /exit?3      os._exit
/fail        raises                         /stream      three chunks
/child       how a child ended that was forked and terminated
/until?file  the same as /, once the file exists; /block-until?file: nothing else runs meanwhile
websocket    echoes until the client closes
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from forked_child import end_forked_child
from ledger import note_begun, note_ended

PAUSE = 0.01
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Serve one scope."""
    if scope["type"] == "lifespan":
        await serve_lifespan(receive, send)
    elif scope["type"] == "websocket":
        await echo(receive, send)
    else:
        note_begun()
        await answer(scope["path"], scope["query_string"].decode(), send)
        note_ended()


async def serve_lifespan(receive: Receive, send: Send) -> None:
    """Start and stop without doing anything."""
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def answer(path: str, argument: str, send: Send) -> None:
    """Do what the path says, then respond."""
    if path == "/sleep":
        await asyncio.sleep(float(argument))
    elif path == "/block":
        time.sleep(float(argument))
    elif path in ("/until", "/block-until"):
        await until_there(argument, blocking=path == "/block-until")
    elif path == "/exit":
        os._exit(int(argument))
    elif path == "/fail":
        raise RuntimeError("asked to fail")
    elif path == "/print":
        print(argument, flush=True)
        print(argument, file=sys.stderr, flush=True)
    elif path == "/child":
        await respond(send, str(end_forked_child()).encode())
        return
    elif path == "/stream":
        await respond(send, b"one ", b"two ", b"three")
        return
    await respond(send, b"hello" if path == "/plain" else identity())


async def until_there(file: str, blocking: bool) -> None:
    """Wait for a file, with or without the loop."""
    while not os.path.exists(file):
        if blocking:
            time.sleep(PAUSE)
        else:
            await asyncio.sleep(PAUSE)


def identity() -> bytes:
    """Return who this worker is."""
    return json.dumps({"worker": int(os.environ.get("FASTLB_WORKER_ID", "-1")), "pid": os.getpid()}).encode()


async def respond(send: Send, *chunks: bytes) -> None:
    """Send a 200 with a body; its length is told when it is one chunk."""
    headers = [(b"content-length", str(len(chunks[0])).encode())] if len(chunks) == 1 else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for chunk in chunks[:-1]:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": chunks[-1]})


async def echo(receive: Receive, send: Send) -> None:
    """Send back what comes, first of all the worker's identity."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": identity().decode()})
    while (message := await receive())["type"] == "websocket.receive":
        content = {key: message[key] for key in ("text", "bytes") if message.get(key) is not None}
        await send({"type": "websocket.send", **content})
