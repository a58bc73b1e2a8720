"""Owns what `rotate_interval` may be: never, a word of the calendar, or a cron pattern. Pure; supervisor and shell."""

from .cron import check_pattern

NEVER = "never"
PATTERNS = {
    NEVER: "",
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "weekly": "0 0 * * 1",
    "monthly": "0 0 1 * *",
}


def check_rotate_interval(text: str) -> None:
    """Raise unless files can be rotated at such times.

    Raises:
        ValueError: says what is wrong.
    """
    check_pattern(text, PATTERNS)
