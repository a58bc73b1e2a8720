"""Owns which lines of logs are wanted. Runs in the user's shell; pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...supervisor.settings.quantities import parse_duration
from .records import LEVELS, SEVERITIES, Record, Stream, parse_time, severity

TIME_EXAMPLES = "10m, 1h30m, 14:30, '2026-03-01 14:30' or 2026-03-01T14:30:00Z"


@dataclass(frozen=True)
class Selection:
    """What is wanted; what is not said is not asked for.

    Attributes:
        streams: of these.
        workers: of these; empty: of any.
        since, until: seconds since the epoch.
        pattern: a line is wanted that it is found in.
        level: at least so severe, an index of LEVELS; a line that does not say is not wanted.
    """

    streams: frozenset[Stream] = frozenset(("out", "err", "event", "log"))
    workers: frozenset[int] = frozenset()
    since: float | None = None
    until: float | None = None
    pattern: re.Pattern[str] | None = None
    level: int | None = None

    def wants(self, record: Record, at: float) -> bool:
        """Whether a line is wanted; `at`: when it stands among the others, seconds since the epoch."""
        if not (self.since or at) <= at <= (self.until or at):
            return False
        if record.stream not in self.streams or (self.workers and record.worker not in self.workers):
            return False
        if self.pattern and not self.pattern.search(record.message):
            return False
        if self.level is None:
            return True
        found = severity(record)
        return found is not None and found >= self.level


def parse_moment(text: str, now: float) -> float:
    """Return the moment that `text` means, in seconds since the epoch.

    Args:
        text: how long ago (10m), a time of today (14:30), a date, or both, in the zone of this machine unless it
            has one.
        now: seconds since the epoch.

    Raises:
        ValueError: it is none of these.
    """
    text = text.strip()
    try:
        if re.fullmatch(r"(\d+(\.\d+)?(d|h|ms|m|s))+", text):
            return now - parse_duration(text)
        today = datetime.fromtimestamp(now)
        if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text):
            clock = f"{text:0>5}" if text.count(":") == 1 else f"{text:0>8}"
            return datetime.fromisoformat(f"{today:%Y-%m-%d}T{clock}").timestamp()
        if text in ("today", "yesterday"):
            midnight = today.replace(hour=0, minute=0, second=0, microsecond=0)
            return (midnight - timedelta(days=text == "yesterday")).timestamp()
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: give {TIME_EXAMPLES}") from None
    moment, end = parse_time(text)
    if moment is None or end < len(text):
        raise ValueError(f"{text!r} is no time: give {TIME_EXAMPLES}")
    return moment


def parse_level(text: str) -> int:
    """Return the index in LEVELS of a level by any of its names.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return SEVERITIES[text.lower()]
    except KeyError:
        raise ValueError(f"{text!r} is no level: give one of {', '.join(LEVELS)}") from None


def parse_pattern(text: str) -> re.Pattern[str]:
    """Return the compiled regular expression.

    Raises:
        ValueError: it is none; the message says why.
    """
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
