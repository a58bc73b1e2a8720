"""Owns times by the calendar: cron patterns (five fields, or six with seconds in front), and words for some of them.

Pure; supervisor and shell. Times are of this machine's zone unless another is given. What a pattern may contain is
cronsim's business, which follows Debian's cron, crontab(5), where the clocks change, too: a time of day that does not
exist comes right after the gap, one that exists twice comes once, and what is told by a star goes on.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo

from ..suggestions import did_you_mean
from .time_zone import MACHINE

EXAMPLE = '"0 3 * * *"'
SIX = 6


def next_time(pattern: str, moment: float, zone: tzinfo = MACHINE) -> float:
    """Return the first time after `moment` that a pattern names; both in seconds since the epoch.

    Raises:
        ValueError: it is no cron pattern.
    """
    return _step(pattern, moment, zone, reverse=False)


def last_time(pattern: str, moment: float, zone: tzinfo = MACHINE) -> float:
    """Return the last time that a pattern names which is not after `moment`; both in seconds since the epoch.

    Raises:
        ValueError: it is no cron pattern.
    """
    return _step(pattern, int(moment) + 1, zone, reverse=True)


def check_pattern(text: str, words: Mapping[str, str]) -> None:
    """Raise unless `text` is one of the words or a cron pattern.

    Raises:
        ValueError: says what is wrong with it, and which words there are.
    """
    if text in words:
        return
    if " " not in text.strip():
        raise ValueError(
            f"{text!r} is none of {', '.join(words)}{did_you_mean(text, words)}, nor a cron pattern such as {EXAMPLE}"
        )
    next_time(text, 0.0)


def _step(pattern: str, moment: float, zone: tzinfo, *, reverse: bool) -> float:
    from cronsim import CronSimError  # only who uses a pattern needs it

    try:
        fields = pattern.split()
        if len(fields) == SIX and not fields[1].startswith("*") and not fields[2].startswith("*"):
            return _step_of_day(fields, moment, zone, reverse=reverse)
        return next(_times(pattern, moment, zone, reverse=reverse))
    except CronSimError as error:
        raise ValueError(f"{pattern!r} is no cron pattern such as {EXAMPLE}: {str(error).lower()}") from error
    except StopIteration as error:
        raise ValueError(f"{pattern!r} names no time at all") from error


def _step_of_day(fields: Sequence[str], moment: float, zone: tzinfo, *, reverse: bool) -> float:
    """Step to a time of day with seconds: cronsim knows what to do where the clocks change for minutes alone."""
    from cronsim import CronSim

    whole, minutes = " ".join(fields), " ".join(fields[1:])
    seconds = sorted(CronSim(whole, datetime.fromtimestamp(moment, zone)).seconds, reverse=reverse)
    for minute in _times(minutes, moment if reverse else moment - 60, zone, reverse=reverse):
        for second in seconds:
            if (minute + second < moment) if reverse else (minute + second > moment):
                return minute + second
    raise StopIteration


def _times(pattern: str, moment: float, zone: tzinfo, *, reverse: bool) -> Iterator[float]:
    from cronsim import CronSim

    return (time.timestamp() for time in CronSim(pattern, datetime.fromtimestamp(moment, zone), reverse))
