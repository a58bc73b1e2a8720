"""Owns how what the supervisor says looks where every line is to be a JSON object. Pure but for the clock. Supervisor
process.

The members are those of a worker's line (line_format.py), of the stream `supervisor` and of no worker.
"""

import os

import msgspec

from . import wall_clock
from .event_record import format_time

STREAM = "supervisor"
LABEL = "fastlb | "


def json_event(app: str, line: bytes) -> bytes:
    """Return a line of the supervisor's log, which begins with its time, as an object and its newline."""
    time, _, message = line.decode(errors="backslashreplace").rstrip("\n").partition(" ")
    return _object(app, time, message)


def json_words(app: str, text: str) -> str:
    """Return what is said at the end of a start, which may have several lines, as one object and its newline."""
    message = text.removeprefix(LABEL).rstrip("\n")
    return _object(app, format_time(wall_clock.now()), message).decode()


def _object(app: str, time: str, message: str) -> bytes:
    about = {"timestamp": time, "app": app, "worker": None, "pid": os.getpid(), "stream": STREAM}
    return msgspec.json.encode({**about, "message": message}) + b"\n"
