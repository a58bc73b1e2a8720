"""Owns when a cron pattern is due on a clock that may jump. Pure; the supervisor process.

A time that passes unseen, because the machine slept or its clock was put forward, is made up for, once however many
they were. A time that comes again, because the clock was put back, is left out, unless the pattern has a star in front
of its minutes or hours: such a one means "every so often" and goes on. So does Debian's cron.
"""

from dataclasses import dataclass, replace
from datetime import tzinfo

from ..settings.cron import next_time

# Whoever puts the clock back by more corrects a wrong one: what was done by that one counts for nothing.
LONGEST_STEP_BACK = 86400.0
# By so much a clock may go wrong between two looks, with adjtime(3), without having jumped.
SLEW = 1.0
DAYS = 3  # fields behind the hours


@dataclass(frozen=True)
class Moment:
    """A moment on both clocks.

    Attributes:
        wall: seconds since the epoch; it jumps.
        monotonic: seconds that never jump, and that do not pass while the machine sleeps.
    """

    wall: float
    monotonic: float


@dataclass(frozen=True)
class Schedule:
    """A pattern, and what is remembered of it. It is never changed in place.

    Attributes:
        pattern, zone: the times.
        seen: the last look.
        next_at: when it is due next, in seconds since the epoch.
        served_at: the last time of the pattern that has been due, in seconds since the epoch.
    """

    pattern: str
    zone: tzinfo
    seen: Moment
    next_at: float
    served_at: float = 0.0

    @classmethod
    def begin(cls, pattern: str, zone: tzinfo, now: Moment) -> "Schedule":
        """Begin with the first time that comes.

        Raises:
            ValueError: it is no cron pattern.
        """
        return cls(pattern, zone, now, next_time(pattern, now.wall, zone))

    def look(self, now: Moment) -> tuple["Schedule", bool]:
        """Return what is remembered from now on, and whether it is due."""
        if self.jump(now) < -SLEW or now.wall < self.seen.wall:
            return self._put_back(now), False
        if now.wall < self.next_at:
            return replace(self, seen=now), False
        following = next_time(self.pattern, now.wall, self.zone)
        return replace(self, seen=now, next_at=following, served_at=now.wall), True

    def jump(self, now: Moment) -> float:
        """Return by how many seconds the clock was put forward since the last look; negative: back."""
        return (now.wall - self.seen.wall) - (now.monotonic - self.seen.monotonic)

    def _put_back(self, now: Moment) -> "Schedule":
        served_at = self.served_at if self.served_at - now.wall <= LONGEST_STEP_BACK else 0.0
        after = now.wall if self._is_every_so_often else max(now.wall, served_at)
        return replace(self, seen=now, next_at=next_time(self.pattern, after, self.zone), served_at=served_at)

    @property
    def _is_every_so_often(self) -> bool:
        minute, hour = self.pattern.split()[-DAYS - 2 : -DAYS]
        return minute.startswith("*") or hour.startswith("*")
