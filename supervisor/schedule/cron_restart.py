"""Owns asking for a reload by the clock: the setting `cron_restart`.

Runs in the supervisor process. It replaces nobody itself: that is an operation, which waits its turn. It has no timer:
whoever looks after everyone once a second has it look at the clock.
"""

import time
from collections.abc import Callable
from datetime import datetime

from ..operations import Operation, OperationRequest
from ..output import wall_clock
from ..output.event_log import EventLog
from ..settings.app_config import AppConfig
from ..settings.cron_restart import is_scheduled
from ..settings.time_zone import zone_of
from .schedule import Moment, Schedule

# A jump of the clock that is worth a line.
JUMP_SECONDS = 60.0


class CronRestart:
    """Remembers when the workers of an app are to be replaced next.

    Args:
        config: returns the settings.
        log: is told when the clock has jumped.
        now: returns both clocks.
    """

    asker = "cron_restart"

    def __init__(self, config: Callable[[], AppConfig], log: EventLog, now: Callable[[], Moment] | None = None) -> None:
        self._config = config
        self._log = log
        self._now = now or _both_clocks
        self._settings = ("", "")
        self._schedule: Schedule | None = None
        self._is_owed = False
        self._follow_settings(self._now())

    @property
    def next_at(self) -> str:
        """When it is due next, with the zone: 2026-03-01T03:00:00+01:00; empty: never."""
        self._follow_settings(self._now())
        if self._schedule is None:
            return ""
        return datetime.fromtimestamp(self._schedule.next_at, self._schedule.zone).isoformat(timespec="seconds")

    def look(self, ask: Callable[[OperationRequest], bool]) -> None:
        """Look at the clock, and ask for a reload if it is time: once for each time, and until that is accepted."""
        if self._is_due() or self._is_owed:
            self._is_owed = not ask(OperationRequest(Operation.RELOAD, by=self.asker))

    def _is_due(self) -> bool:
        now = self._now()
        self._follow_settings(now)
        if self._schedule is None:
            return False
        jump = self._schedule.jump(now)
        self._schedule, is_due = self._schedule.look(now)
        if abs(jump) >= JUMP_SECONDS:
            self._log.info("clock_jumped", seconds=round(jump), next_at=self.next_at)
        return is_due

    def _follow_settings(self, now: Moment) -> None:
        config = self._config()
        settings = (config.cron_restart, config.cron_timezone)
        if settings != self._settings:
            self._settings = settings
            self._is_owed = False
            pattern, zone = settings
            self._schedule = Schedule.begin(pattern, zone_of(zone), now) if is_scheduled(pattern) else None


def _both_clocks() -> Moment:
    return Moment(wall_clock.now(), time.monotonic())
