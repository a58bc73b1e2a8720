"""Owns what is known of a line in a log: from whom it is, and from when. Runs in the user's shell; pure.

The supervisor may have put it into the line: a time, the worker, a JSON object. Only what it puts there by the app's
settings is believed; a line that looks alike and is the app's own is text.
"""

import re
from datetime import datetime
from typing import Any, Literal

import msgspec

Stream = Literal["out", "err", "access", "event", "log"]
Shape = Literal["plain", "timed", "json", "events"]
SEVERITIES: dict[str, int] = {
    **dict.fromkeys(("trace", "silly"), 0),
    **dict.fromkeys(("debug", "verbose"), 1),
    **dict.fromkeys(("info", "information", "notice", "log"), 2),
    **dict.fromkeys(("warning", "warn"), 3),
    **dict.fromkeys(("error", "err"), 4),
    **dict.fromkeys(("critical", "crit", "fatal", "alert", "emergency", "emerg", "panic"), 5),
}
LEVELS = ("trace", "debug", "info", "warning", "error", "critical")
LEVEL_MEMBERS = ("level", "severity", "levelname", "lvl", "log.level")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?) ?(Z|[+-]\d\d:?\d\d)?(?!:\d)(?=[:\s\]]|$):? ?"
)
_WORKER = re.compile(r"(\d{1,5})\|[^|]{1,64} \| ")
_EVENT = re.compile(r"([A-Z]{4,8}) [a-z]\w*(?: |$)")
_EVENT_WORKER = re.compile(r" worker_id=(\d{1,5})(?= |$)")


class Record(msgspec.Struct):
    """A line, or a piece of a very long one.

    Attributes:
        app: its name.
        stream: out, err, access, event; log: out or err, it is not known which.
        text: as it stands in the file, without the newline.
        message: the same without time and worker in front; of a JSON object of ours, what was written.
        time: seconds since the epoch; None: not known.
        worker: its number; None: not known, or none.
        pid: of the process; 0: not known.
        is_first, is_last: whether the line begins, and ends, with it.
    """

    app: str
    stream: Stream
    text: bytes
    message: str
    time: float | None = None
    worker: int | None = None
    pid: int = 0
    is_first: bool = True
    is_last: bool = True


class _Object(msgspec.Struct):
    """What of an object that the supervisor wrote is looked at."""

    timestamp: Any = None
    worker: Any = None
    pid: Any = None
    stream: Any = None
    message: Any = None


_decode_object = msgspec.json.Decoder(_Object).decode


def recognize(record: Record, shape: Shape) -> Record:
    """Fill in what a line itself says, as far as that is not known yet. `shape`: what the settings make of lines."""
    if shape == "json" and record.text.startswith(b"{"):
        _recognize_object(record)
    elif shape == "events":
        _recognize_event(record)
    elif shape == "timed":
        _recognize_prefix(record)
    return record


def parse_time(text: str) -> tuple[float | None, int]:
    """Return the time in front of a text, and where what follows it begins; (None, 0): there is none.

    A time without a zone is that of this machine.
    """
    match = _TIME.match(text)
    if not match:
        return None, 0
    date, clock, zone = match.groups()
    try:
        return datetime.fromisoformat(f"{date}T{clock.replace(',', '.')}{zone or ''}").timestamp(), match.end()
    except (ValueError, OverflowError, OSError):
        return None, 0


def severity(record: Record) -> int | None:
    """Return how severe a line says that it is, as an index of LEVELS; None: it does not say."""
    if record.stream == "event":
        match = _EVENT.match(record.message)
        return SEVERITIES.get(match.group(1).lower()) if match else None
    for text in (record.text, record.message.encode()):
        members = _members(text)
        for name in LEVEL_MEMBERS:
            if name in members:
                return _severity_of(members[name])
    return None


def _severity_of(value: object) -> int | None:
    if isinstance(value, str):
        return SEVERITIES.get(value.lower())
    if isinstance(value, int | float):  # as pino and bunyan count: 10 is trace, 60 fatal
        return max(0, min(int(value) // 10 - 1, len(LEVELS) - 1))
    return None


def _members(text: bytes) -> dict[str, object]:
    if not text.startswith(b"{"):
        return {}
    try:
        members = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _recognize_object(record: Record) -> None:
    try:
        found = _decode_object(record.text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return
    if record.time is None and isinstance(found.timestamp, str):
        record.time = parse_time(found.timestamp)[0]
    if record.worker is None and type(found.worker) is int:
        record.worker = found.worker
    if not record.pid and type(found.pid) is int:
        record.pid = found.pid
    if record.stream == "log" and found.stream in ("out", "err"):
        record.stream = found.stream
    if isinstance(found.message, str):
        record.message = found.message


def _recognize_event(record: Record) -> None:
    time, start = parse_time(record.message)
    if time is None:
        return
    record.time = time
    record.message = record.message[start:]
    if match := _EVENT_WORKER.search(record.message):
        record.worker = int(match.group(1))


def _recognize_prefix(record: Record) -> None:
    time, start = parse_time(record.message)
    if record.time is None:
        record.time = time
    match = _WORKER.match(record.message, start)
    if match:
        start = match.end()
        if record.worker is None:
            record.worker = int(match.group(1))
    record.message = record.message[start:]
