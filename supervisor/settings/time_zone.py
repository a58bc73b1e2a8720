"""Owns time zones: that of this machine, with its changes between winter and summer, and others by name.

Pure but for the files of zones; supervisor and shell.
"""

from datetime import UTC, datetime, timedelta, tzinfo


class MachineZone(tzinfo):
    """The zone of this machine, as localtime(3) has it: by TZ, in any of its forms, or /etc/localtime."""

    def utcoffset(self, dt: datetime | None) -> timedelta:
        """Return how far a local time is ahead of UTC."""
        assert dt is not None
        local = dt.replace(tzinfo=None)
        return local - datetime.fromtimestamp(local.timestamp(), UTC).replace(tzinfo=None)

    def dst(self, dt: datetime | None) -> timedelta | None:
        """Return None: nobody asks."""
        return None

    def tzname(self, dt: datetime | None) -> str:
        """Return its name at a local time."""
        assert dt is not None
        return dt.replace(tzinfo=None).astimezone().tzname() or ""

    def fromutc(self, dt: datetime) -> datetime:
        """Return the local time, of two that look alike the right one."""
        return datetime.fromtimestamp(dt.replace(tzinfo=UTC).timestamp()).replace(tzinfo=self)


MACHINE = MachineZone()


def zone_of(name: str) -> tzinfo:
    """Return the zone of this name, "Europe/Berlin"; empty: that of this machine.

    Raises:
        ValueError: this machine knows none of this name.
    """
    if not name:
        return MACHINE
    from zoneinfo import ZoneInfo  # only who names a zone needs it

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = f"{name!r} is no time zone that this machine knows, such as Europe/Berlin or UTC"
        raise ValueError(f"{known}{_meant(name)}") from None


def _meant(name: str) -> str:
    from zoneinfo import available_timezones

    from ..suggestions import did_you_mean

    zones = sorted(available_timezones())
    return did_you_mean(name, zones) if zones else ": it has no files of zones (the package tzdata)"
