"""Owns how one event stands in NAME-events.jsonl: a JSON object a line, and which files there are. Pure.

Supervisor, which writes them, and shell, which reads them. Whatever a field holds, a line stays one line, and short.

    {"time":"2026-03-01T12:00:01.456Z","level":"error","event":"worker_crashed","app":"shop","worker_id":3,"pid":4711}

What names mean is in docs/events.md.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

# A file is put away before it would be larger; one that was put away stays.
MAX_FILE_BYTES = 1 << 20
MAX_TEXT_CHARACTERS = 2048
MAX_FIELDS = 32
LEVELS = ("info", "warning", "error")
OWN_MEMBERS = ("time", "level", "event", "app")


class Event(msgspec.Struct, frozen=True):
    """One event.

    Attributes:
        time: UTC, 2026-03-01T12:00:01.456Z.
        level: of LEVELS.
        event: its name, such as worker_crashed.
        app: whose supervisor says it.
        fields: what else is known: worker_id, pid, reason, by, ...
    """

    time: str
    level: str
    event: str
    app: str
    fields: Mapping[str, Any]


def put_away_name(path: Path) -> Path:
    """Return where the file `path` is put when it is full: `shop-events.1.jsonl`."""
    return path.with_suffix(f".1{path.suffix}")


def format_time(timestamp: float) -> str:
    """Return the time of an event; `timestamp`: seconds since the epoch."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode_event(event: Event) -> bytes:
    """Return one line, with its newline: valid UTF-8, of bounded length."""
    own = {name: getattr(event, name) for name in OWN_MEMBERS}
    more = {name: value for name, value in event.fields.items() if name not in OWN_MEMBERS}
    members = {**own, **dict(list(more.items())[:MAX_FIELDS])}
    return msgspec.json.encode({name: _plain(value) for name, value in members.items()}) + b"\n"


def decode_event(line: bytes) -> Event | None:
    """Return what a line says; None: it is no event (the disk was full, or somebody else wrote it)."""
    try:
        members = msgspec.json.decode(line, type=dict[str, Any])
        own = {name: members.pop(name) for name in OWN_MEMBERS}
    except (msgspec.DecodeError, UnicodeError, RecursionError, KeyError):
        return None
    if not all(isinstance(value, str) for value in own.values()):
        return None
    return Event(**own, fields=members)


def _plain(value: object) -> object:
    """Numbers stay numbers; all else becomes text, cut."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    if len(text) > MAX_TEXT_CHARACTERS:
        text = text[:MAX_TEXT_CHARACTERS] + "..."
    return text.encode(errors="backslashreplace").decode()
