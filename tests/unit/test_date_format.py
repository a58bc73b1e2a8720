"""The time in front of a line, as PM2's users and as strftime's write it."""

from datetime import datetime, timedelta, timezone

import pytest
from fastlb.supervisor.settings.date_format import ISO_MILLISECONDS, compile_format

AFTERNOON = datetime(2026, 3, 1, 15, 4, 5, 67_890, timezone(timedelta(hours=-3, minutes=-30)))
MIDNIGHT = datetime(2026, 11, 26, 0, 0, 0, 0, timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("text", "afternoon", "midnight"),
    [
        ("YYYY-MM-DD HH:mm:ss.SSS Z", "2026-03-01 15:04:05.067 -03:30", "2026-11-26 00:00:00.000 +02:00"),
        (ISO_MILLISECONDS, "2026-03-01T15:04:05.067-03:30", "2026-11-26T00:00:00.000+02:00"),
        ("D/M/YY h:m:s a ZZ", "1/3/26 3:4:5 pm -0330", "26/11/26 12:0:0 am +0200"),
        ("DD.MM. hhA H S SS SSSSSS", "01.03. 03PM 15 0 06 067890", "26.11. 12AM 0 0 00 000000"),
        ("ddd dddd MMM MMMM", "Sun Sunday Mar March", "Thu Thursday Nov November"),
        ("DDD DDDD", "60 060", "330 330"),
        ("[at] HH [o'clock]", "at 15 o'clock", "at 00 o'clock"),
        ("X x", "1772390045 1772390045067", "1795644000 1795644000000"),
        ("%Y-%m-%d %H:%M:%S %%", "2026-03-01 15:04:05 %", "2026-11-26 00:00:00 %"),
    ],
)
def test_format_shows_a_time(text: str, afternoon: str, midnight: str) -> None:
    write = compile_format(text)
    assert (write(AFTERNOON), write(MIDNIGHT)) == (afternoon, midnight)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "shows no time"),
        ("[HH]", "shows no time"),
        ("%H:%Q", "%Q is no directive of strftime"),
        ("%H:%", "% is no directive"),
        ("HH\nmm", "one line"),
        ("H" * 101, "at most 100 characters"),
    ],
)
def test_what_shows_no_time_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_format(text)
