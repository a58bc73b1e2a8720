"""When workers are replaced by the clock, on clocks that are passed in: days, summer time, jumps, sleep."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pytest
from fastlb.supervisor.operations import OperationRequest
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.schedule.cron_restart import CronRestart
from fastlb.supervisor.schedule.schedule import Moment, Schedule
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.cron_restart import check_cron_restart
from fastlb.supervisor.settings.time_zone import MACHINE, zone_of
from msgspec.structs import replace

BERLIN = zone_of("Europe/Berlin")
# The clocks are put forward on the first of these nights, and back on the second.
IN_SPRING, IN_AUTUMN = "2026-03-28 12:00", "2026-10-24 12:00"
HOUR = 3600


def at(text: str) -> float:
    """Return a time in Berlin, in seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


class Clock:
    """Both clocks, and how often the schedule was due on the way; it is looked at every half a minute."""

    def __init__(self, pattern: str, begin: str) -> None:
        self.now = Moment(at(begin), 1000.0)
        self.schedule = Schedule.begin(pattern, BERLIN, self.now)
        self.due: list[str] = []

    def pass_by(self, seconds: int, step: int = 30) -> "Clock":
        """Let time pass."""
        for _ in range(seconds // step):
            self._look(step, step)
        return self

    def jump(self, seconds: float) -> "Clock":
        """Put the clock forward or back, or sleep: time that the monotonic clock does not see."""
        self._look(seconds, 0.5)
        return self

    def _look(self, wall: float, monotonic: float) -> None:
        self.now = Moment(self.now.wall + wall, self.now.monotonic + monotonic)
        self.schedule, is_due = self.schedule.look(self.now)
        if is_due:
            self.due.append(datetime.fromtimestamp(self.now.wall, BERLIN).strftime("%d %H:%M"))


@pytest.mark.parametrize(
    ("pattern", "due"),
    [
        ("0 3 * * *", ["04 03:00"]),
        ("30 6,18 * * *", ["03 18:30", "04 06:30"]),
        ("0 3 * * wed", ["04 03:00"]),
        ("0 3 * * MON-TUE", []),
        ("0 0 4 mar *", ["04 00:00"]),
        ("30 15 3 * * *", ["04 03:15"]),
        ("0 */6 * * *", ["03 18:00", "04 00:00", "04 06:00", "04 12:00"]),
    ],
)
def test_day(pattern: str, due: list[str]) -> None:
    clock = Clock(pattern, "2026-03-03 12:00").pass_by(24 * HOUR)
    assert clock.due == due
    assert clock.schedule.next_at > clock.now.wall


@pytest.mark.parametrize(
    ("pattern", "begin", "due"),
    [
        ("30 2 * * *", IN_SPRING, ["29 03:00"]),
        ("30 2 * * *", IN_AUTUMN, ["25 02:30"]),
        ("0 30 2 * * *", IN_SPRING, ["29 03:00"]),
        ("0 30 2 * * *", IN_AUTUMN, ["25 02:30"]),
        ("0 3 * * *", IN_SPRING, ["29 03:00"]),
        ("0 3 * * *", IN_AUTUMN, ["25 03:00"]),
        ("0 * * * *", IN_SPRING, [f"28 {hour}:00" for hour in range(13, 24)] + [f"29 0{h}:00" for h in (0, 1, 3)]),
        (
            "0 * * * *",
            IN_AUTUMN,
            [f"24 {hour}:00" for hour in range(13, 24)] + [f"25 0{h}:00" for h in (0, 1, 2, 2, 3)],
        ),
    ],
)
def test_summer_time_neither_skips_nor_doubles(pattern: str, begin: str, due: list[str]) -> None:
    until_half_past_three = 14.5 if begin == IN_SPRING else 16.5
    assert Clock(pattern, begin).pass_by(int(until_half_past_three * HOUR)).due == due


def test_clock_put_forward_over_a_time_does_not_skip_it() -> None:
    clock = Clock("0 3 * * *", "2026-03-03 02:30").jump(2 * HOUR)
    assert clock.due == ["03 04:30"]
    assert clock.pass_by(24 * HOUR).due == ["03 04:30", "04 03:00"]


@pytest.mark.parametrize("seconds", [60, HOUR, 23 * HOUR])
def test_clock_put_back_over_a_time_does_not_double_it(seconds: int) -> None:
    clock = Clock("0 3 * * *", "2026-03-03 02:30").pass_by(HOUR)
    assert clock.due == ["03 03:00"]
    clock.jump(-seconds)
    assert datetime.fromtimestamp(clock.schedule.next_at, BERLIN).strftime("%d %H:%M") == "04 03:00"
    clock.pass_by(seconds + 60)
    assert len(clock.due) == (2 if seconds == 23 * HOUR and clock.now.wall >= at("2026-03-04 03:00") else 1)


def test_small_step_back_over_a_time_does_not_double_it() -> None:
    clock = Clock("0 3 * * *", "2026-03-03 02:30").pass_by(30 * 60)
    assert clock.due == ["03 03:00"]
    clock.jump(-0.3)
    assert clock.pass_by(HOUR).due == ["03 03:00"]


def test_every_so_often_goes_on_when_the_clock_is_put_back() -> None:
    clock = Clock("*/10 * * * *", "2026-03-03 02:55").pass_by(10 * 60).jump(-2 * HOUR).pass_by(20 * 60)
    assert clock.due == ["03 03:00", "03 01:10", "03 01:20"]


def test_wrong_clock_that_is_corrected_counts_for_nothing() -> None:
    clock = Clock("0 3 * * *", "2040-01-01 02:30").pass_by(HOUR).jump(at("2026-03-03 02:30") - at("2040-01-01 03:30"))
    assert clock.pass_by(HOUR).due == ["01 03:00", "03 03:00"]


def test_sleep_over_several_times_makes_up_for_them_once() -> None:
    clock = Clock("*/10 * * * *", "2026-03-03 02:05").jump(5 * HOUR)
    assert clock.due == ["03 07:05"]
    assert clock.pass_by(10 * 60).due == ["03 07:05", "03 07:10"]


def test_the_machines_zone_is_a_zone() -> None:
    now = datetime.fromtimestamp(1790000000, MACHINE)
    assert now.replace(tzinfo=None) == datetime.fromtimestamp(1790000000)
    assert now.utcoffset() == datetime.fromtimestamp(1790000000).astimezone().utcoffset()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 3 * *", "no cron pattern.*wrong number of fields"),
        ("61 3 * * *", "bad minute"),
        ("0 3 * * fryday", "bad day-of-week"),
        ("daily", "no cron pattern such as"),
        ("gunicorn.conf.py", "fastlb start FILE"),
    ],
)
def test_bad_pattern_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_cron_restart(text)


def test_unknown_zone_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        zone_of("Europe/Berln")


class Asked:
    """Who is asked, and whether that is accepted."""

    def __init__(self, answers: Iterable[bool]) -> None:
        self.answers = list(answers)
        self.requests: list[OperationRequest] = []

    def ask(self, request: OperationRequest) -> bool:
        self.requests.append(request)
        return self.answers.pop(0)


def test_what_is_refused_is_asked_for_again_and_settings_are_followed(tmp_path: Path) -> None:
    config = AppConfig(target="a:b", name="a", cron_restart="0 3 * * *", cron_timezone="Europe/Berlin")
    now = Moment(at("2026-03-03 02:30"), 0.0)
    cron = CronRestart(lambda: config, EventLog(tmp_path / "log"), lambda: now)
    assert cron.next_at == "2026-03-03T03:00:00+01:00"
    asked = Asked([False, True])
    for minutes in (0, 10, 20, 30):
        now = Moment(at("2026-03-03 02:50") + 60 * minutes, 60.0 * minutes)
        cron.look(asked.ask)
    assert [request.by for request in asked.requests] == ["cron_restart"] * 2
    config = replace(config, cron_restart="0")
    cron.look(asked.ask)
    assert cron.next_at == ""
