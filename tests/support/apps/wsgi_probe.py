"""A WSGI app that shows what happens to it. Runs in a worker; /sleep?0.5 sleeps, /plain answers five bytes,
/print?text writes a line to stdout and stderr, /child says how a child ended that was forked and terminated,
everything else says who answers.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from forked_child import end_forked_child
from ledger import note_begun, note_ended

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request."""
    note_begun()
    path, argument = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/sleep":
        time.sleep(float(argument))
    elif path == "/print":
        print(argument, flush=True)
        print(argument, file=sys.stderr, flush=True)
    body = ANSWERS.get(path, identity)()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    note_ended()
    return [body]


def plain() -> bytes:
    """Return five bytes."""
    return b"hello"


def child() -> bytes:
    """Return how a child ended."""
    return str(end_forked_child()).encode()


def identity() -> bytes:
    """Return who answers."""
    worker = int(os.environ.get("FASTLB_WORKER_ID", "-1"))
    who = {"worker": worker, "pid": os.getpid(), "thread": threading.get_ident()}
    return json.dumps(who).encode()


ANSWERS = {"/plain": plain, "/child": child}
