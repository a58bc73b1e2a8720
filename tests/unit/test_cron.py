"""Times by the calendar: when a pattern is due, and which are refused."""

from datetime import datetime

import pytest
from fastlb.supervisor.output.rotation import RotationRules
from fastlb.supervisor.settings.cron import last_time, next_time
from fastlb.supervisor.settings.rotation_times import PATTERNS, check_rotate_interval


def at(text: str) -> float:
    """Return a local time in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("pattern", "last", "following"),
    [
        ("0 3 * * *", "2026-03-04 03:00", "2026-03-05 03:00"),
        ("*/15 * * * *", "2026-03-04 12:15", "2026-03-04 12:30"),
        ("*/10 * * * * *", "2026-03-04 12:29:50", "2026-03-04 12:30"),
        (PATTERNS["hourly"], "2026-03-04 12:00", "2026-03-04 13:00"),
        (PATTERNS["daily"], "2026-03-04", "2026-03-05"),
        (PATTERNS["weekly"], "2026-03-02", "2026-03-09"),
        (PATTERNS["monthly"], "2026-03-01", "2026-04-01"),
    ],
)
def test_times_of_a_pattern(pattern: str, last: str, following: str) -> None:
    moment = at("2026-03-04 12:29:59.5")
    assert last_time(pattern, moment) == at(last)
    assert next_time(pattern, moment) == at(following)
    assert last_time(pattern, at(following)) == at(following)


def test_file_is_due_when_such_a_time_has_come() -> None:
    rules = RotationRules(max_bytes=0, interval="30 6 * * *", retain=1, retain_days=0, compress=False)
    began = rules.period(at("2026-03-04 06:30"))
    assert rules.period(at("2026-03-05 06:29:59")) == began
    assert not rules.is_due(1, 1, began, at("2026-03-05 06:29:59"))
    assert rules.is_due(1, 1, began, at("2026-03-05 06:30"))
    assert rules.period(at("2026-03-04 06:31")) == began, "the clock may be put back"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dayly", "did you mean daily"),
        ("* * *", "no cron pattern"),
        ("61 * * * *", "bad minute"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("", "none of never"),
    ],
)
def test_what_names_no_time_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_rotate_interval(text)
