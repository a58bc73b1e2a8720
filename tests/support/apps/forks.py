"""Starts a child process that outlives the request and answers its pid; /daemon one in a session of its own."""

import json
import subprocess
from collections.abc import Callable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> list[bytes]:
    """Answer one request."""
    child = subprocess.Popen(["sleep", "300"], start_new_session=environ["PATH_INFO"] == "/daemon")
    start_response("200 OK", [])
    return [json.dumps({"child": child.pid}).encode()]
