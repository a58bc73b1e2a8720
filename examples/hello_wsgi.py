"""A WSGI app without a framework: says which worker answers. `fastlb start --workers 8 hello_wsgi:app`"""

import os
from collections.abc import Callable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> list[bytes]:
    """Answer every request with the worker's id and pid."""
    body = f"hello from worker {os.environ.get('FASTLB_WORKER_ID', '?')}, pid {os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
