"""Owns times by the calendar: cron patterns (five fields, or six with seconds in front), and words for some of them.

Pure; supervisor and shell. Times are of this machine's zone. What a pattern may contain is cronsim's business, which
follows Debian's cron: crontab(5).
"""

from collections.abc import Mapping
from datetime import datetime

from ..suggestions import did_you_mean

EXAMPLE = '"0 3 * * *"'


def next_time(pattern: str, moment: float) -> float:
    """Return the first time after `moment` that a pattern names; both in seconds since the epoch.

    Raises:
        ValueError: it is no cron pattern.
    """
    return _step(pattern, moment, reverse=False)


def last_time(pattern: str, moment: float) -> float:
    """Return the last time that a pattern names which is not after `moment`; both in seconds since the epoch.

    Raises:
        ValueError: it is no cron pattern.
    """
    return _step(pattern, int(moment) + 1, reverse=True)


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


def _step(pattern: str, moment: float, *, reverse: bool) -> float:
    from cronsim import CronSim, CronSimError  # only who uses a pattern needs it

    try:
        return next(CronSim(pattern, datetime.fromtimestamp(moment), reverse)).timestamp()
    except CronSimError as error:
        raise ValueError(f"{pattern!r} is no cron pattern such as {EXAMPLE}: {str(error).lower()}") from error
    except StopIteration as error:
        raise ValueError(f"{pattern!r} names no time at all") from error
