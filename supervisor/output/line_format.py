"""Owns what a line of a worker looks like in a file or on a terminal: as it is, with a time, or as a JSON object.

Runs in the supervisor process. Pure but for the clock that it is given. What is not asked for costs nothing: a chunk of
lines then passes as it is. A time costs once a chunk, JSON once a line.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from ..settings.app_config import AppConfig
from ..settings.date_format import ISO_MILLISECONDS, FormatTime, compile_format
from . import wall_clock
from .follower import Stream

LogType = Literal["text", "json"]
# The access log has a file of its own if `access_file` is set.
Source = Stream | Literal["access"]
JsonOf = Literal["wrap", "merge"]
# What PM2's `time` means.
TIME_FORMAT = "YYYY-MM-DDTHH:mm:ss"


@dataclass(frozen=True)
class Origin:
    """Where lines come from. `app`: its name; `worker`, `pid`: who wrote them."""

    app: str
    worker: int
    pid: int
    stream: Source


class Format(Protocol):
    """What makes of whole lines what is written. `leaves_origin_out`: they do not say which worker wrote them."""

    leaves_origin_out: bool

    def __call__(self, origin: Origin, lines: bytes) -> bytes:
        """Return the lines as they are to be written: whole lines again."""

    def records(self, origin: Origin, records: list[bytes]) -> bytes:
        """Return records, each of lines that belong together: with one time each, or as one object each."""


@dataclass(frozen=True)
class FormatRules:
    """The settings, by their names in AppConfig."""

    log_type: LogType = "text"
    log_json: JsonOf = "wrap"
    log_date_format: str = ""
    time: bool = False
    log_worker: bool = False

    @classmethod
    def of(cls, config: AppConfig) -> "FormatRules":
        """Take them from the settings of an app."""
        return cls(config.log_type, config.log_json, config.log_date_format, config.time, config.log_worker)


def make_format(rules: FormatRules, now: Callable[[], float] = wall_clock.now) -> Format:
    """Return what the rules say; `now`: seconds since the epoch.

    Raises:
        ValueError: `log_date_format` is none.
    """
    clock = Clock(now)
    if rules.log_type == "json":
        return JsonLines(compile_format(rules.log_date_format or ISO_MILLISECONDS), clock, rules.log_json == "merge")
    text = rules.log_date_format or (TIME_FORMAT if rules.time else "")
    if not text and not rules.log_worker:
        return Unchanged()
    return TextLines(compile_format(text) if text else None, clock, rules.log_worker)


class Unchanged:
    """Lines as they are."""

    leaves_origin_out = True

    def __call__(self, origin: Origin, lines: bytes) -> bytes:
        """Return the same lines."""
        return lines

    def records(self, origin: Origin, records: list[bytes]) -> bytes:
        """Return the same lines."""
        return b"".join(records)


class Clock:
    """The time of day that lines are read; it never goes back, so that the lines of a file are in order."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last = 0.0

    def read(self) -> datetime:
        """Return the time, in the zone of this machine."""
        self._last = max(self._last, self._now())
        return datetime.fromtimestamp(self._last).astimezone()


class TextLines:
    """Lines with a time, and the number of the worker, in front: PM2's "2026-03-01T12:00:00: message"."""

    def __init__(self, format_time: FormatTime | None, clock: Clock, worker: bool) -> None:
        self._format_time = format_time
        self._clock = clock
        self._worker = worker
        self.leaves_origin_out = not worker

    def __call__(self, origin: Origin, lines: bytes) -> bytes:
        """Return the lines, each with the prefix."""
        start = self._start(origin)
        return start + lines[:-1].replace(b"\n", b"\n" + start) + b"\n"

    def records(self, origin: Origin, records: list[bytes]) -> bytes:
        """Return the lines, the first of each record with the prefix."""
        start = self._start(origin)
        return b"".join([start + record for record in records])

    def _start(self, origin: Origin) -> bytes:
        prefix = f"{self._format_time(self._clock.read())}: " if self._format_time else ""
        if self._worker:
            prefix += f"{origin.worker}|{origin.app} | "
        return prefix.encode()


class JsonLines:
    """One JSON object a line: timestamp, app, worker, pid, stream, message.

    With `merge` a line that is a JSON object itself gives its own members, which win, in place of `message`.
    """

    leaves_origin_out = False

    def __init__(self, format_time: FormatTime, clock: Clock, merge: bool) -> None:
        self._format_time = format_time
        self._clock = clock
        self._merge = merge

    def __call__(self, origin: Origin, lines: bytes) -> bytes:
        """Return an object for each line."""
        return self._objects(origin, lines[:-1].split(b"\n"))

    def records(self, origin: Origin, records: list[bytes]) -> bytes:
        """Return an object for each record."""
        return self._objects(origin, [record[:-1] for record in records])

    def _objects(self, origin: Origin, messages: list[bytes]) -> bytes:
        common = {
            "timestamp": self._format_time(self._clock.read()),
            "app": origin.app,
            "worker": origin.worker,
            "pid": origin.pid,
            "stream": origin.stream,
        }
        start = msgspec.json.encode(common)[:-1]
        out = [self._object(message, common, start) for message in messages]
        return b"\n".join(out) + b"\n"

    def _object(self, line: bytes, common: dict[str, object], start: bytes) -> bytes:
        if self._merge and line[:1] == b"{" and line[-1:] == b"}":
            members = _members(line)
            if members is not None:
                return msgspec.json.encode(common | members)
        message = line.decode(errors="backslashreplace")
        return b'%b,"message":%b}' % (start, msgspec.json.encode(message))


def _members(line: bytes) -> dict[str, object] | None:
    try:
        members = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None
