"""Owns the mode of a unix socket as users type it. Pure; any process."""

from ..errors import UsageError


def parse_mode(text: str) -> int:
    """Return the mode that an octal text means.

    Raises:
        UsageError: it is none.
    """
    if not (3 <= len(text) <= 5 and set(text) <= set("01234567") and int(text, 8) <= 0o777):
        raise UsageError(f"--socket-mode {text}: give an octal mode from 0000 to 0777, such as 0660")
    return int(text, 8)
