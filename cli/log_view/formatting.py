"""Owns how a line of a log looks: with marks for people, as JSON or pairs for programs, or as it is.

Runs in the user's shell; pure. Nothing but the raw form may steer a terminal, whoever reads a pipe later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from ...supervisor.safe_text import escape_json, escape_output
from ...supervisor.settings.date_format import ISO_MILLISECONDS, FormatTime, compile_format
from .records import Record

Form = Literal["marked", "raw", "json", "pairs"]
RESET = "\x1b[0m"
COLORS = {"out": "green", "err": "red", "access": "blue", "event": "cyan", "log": "yellow"}
# As the time in front of a line when --timestamp has no format of its own: PM2's.
DEFAULT_TIMESTAMP = "YYYY-MM-DD-HH:mm:ss"


@dataclass(frozen=True)
class Look:
    """How lines are to look.

    Attributes:
        form: for whom.
        timestamp: format of the time in front of marked lines; "": none.
        highlight: what is made conspicuous; "": nothing.
        has_color: whether the terminal may be coloured.
        pm_id: returns the number over all apps of a worker of an app; None: workers are marked by their numbers in
            their app.
    """

    form: Form = "marked"
    timestamp: str = ""
    highlight: str = ""
    has_color: bool = False
    pm_id: Callable[[str, int], int | None] | None = None


FormatRecord = Callable[[Record], str | bytes]
Style = Callable[..., str]


def make_formatter(look: Look, style: Style) -> FormatRecord:
    """Return what makes of a record what is to be written: text, or bytes that nobody may change.

    `style`: colours a text, as click.style.

    Raises:
        ValueError: `timestamp` is no format of the time.
    """
    if look.form == "raw":
        return lambda record: record.text + (b"\n" if record.is_last else b"")
    if look.form == "json":
        return _as_json
    if look.form == "pairs":
        return _as_pairs
    return _Marked(look, style)


class _Marked:
    """`TIME 0|shop err | text`; as PM2: `TIME 3|shop | text`."""

    def __init__(self, look: Look, style: Style) -> None:
        self._look = look
        self._style = style
        self._format_time: FormatTime | None = compile_format(look.timestamp) if look.timestamp else None

    def __call__(self, record: Record) -> str:
        text = escape_output(record.message if self._format_time else _without_worker(record))
        if self._look.highlight and self._look.has_color:
            text = text.replace(self._look.highlight, self._style(self._look.highlight, reverse=True))
        if self._look.has_color and "\x1b" in text:
            text += RESET
        mark = self._mark(record) if record.is_first else ""
        return mark + text + ("\n" if record.is_last else "")

    def _mark(self, record: Record) -> str:
        time = f"{self._format_time(_moment(record.time))} " if self._format_time and record.time is not None else ""
        mark = self._mark_of_pm2(record) or self._own_mark(record)
        return time + (self._style(mark, fg=COLORS[record.stream]) if self._look.has_color else mark)

    def _own_mark(self, record: Record) -> str:
        worker = "" if record.worker is None else f"{record.worker}|"
        return f"{worker}{record.app} {record.stream} | "

    def _mark_of_pm2(self, record: Record) -> str:
        """Return PM2's mark; "": it is not wanted, or the worker has no number."""
        if self._look.pm_id is None or record.worker is None:
            return ""
        number = self._look.pm_id(record.app, record.worker)
        return "" if number is None else f"{number}|{record.app} | "


def _without_worker(record: Record) -> str:
    """Return the line as it stands in the file, without the worker that the mark has already."""
    text = record.text.decode(errors="backslashreplace")
    doubled = f"{record.worker}|{record.app} | "
    head, found, rest = text.partition(doubled)
    return head + rest if found and rest == record.message else text


def _as_json(record: Record) -> str:
    """One object a line, as `log_type: json` writes it; a line that is one already stays what it is."""
    members = _object_of(record)
    if members is None:
        time = None if record.time is None else compile_format(ISO_MILLISECONDS)(_moment(record.time))
        members = {"timestamp": time, "app": record.app, "worker": record.worker, "pid": record.pid or None}
        members |= {"stream": record.stream, "message": record.message}
    return escape_json(msgspec.json.encode(members).decode()) + "\n"


def _object_of(record: Record) -> dict[str, object] | None:
    if not (record.is_first and record.is_last and record.text.startswith(b'{"timestamp":')):
        return None
    try:
        members = msgspec.json.decode(record.text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return members if isinstance(members, dict) else None


def _as_pairs(record: Record) -> str:
    """`timestamp=... app=shop id=0 type=out message=...`, as PM2's --format; the message is the rest of the line."""
    time = "" if record.time is None else compile_format("YYYY-MM-DD-HH:mm:ssZZ")(_moment(record.time))
    worker = "" if record.worker is None else record.worker
    pairs = f"timestamp={time} app={record.app} id={worker} type={record.stream} message="
    start = pairs if record.is_first else ""
    return start + escape_output(record.message) + ("\n" if record.is_last else "")


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(time).astimezone()
