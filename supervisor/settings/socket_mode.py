"""Owns modes of files and sockets as users type them. Pure; any process."""


def parse_mode(text: str) -> int:
    """Return the mode that an octal text means.

    Raises:
        ValueError: it is none.
    """
    if not (3 <= len(text) <= 5 and set(text) <= set("01234567") and int(text, 8) <= 0o777):
        raise ValueError(f"{text!r} is no octal mode from 0000 to 0777, such as 0660")
    return int(text, 8)
