"""Owns durations and sizes as users type and read them: `1m30s`, `250ms`, `1.5G`. Pure; any process.

One pass over the text, no regular expression: the time a bad value takes is linear in its length.
"""

from collections.abc import Mapping

SECONDS_BY_UNIT: Mapping[str, float] = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
BYTES_BY_UNIT: Mapping[str, int] = {"T": 1 << 40, "G": 1 << 30, "M": 1 << 20, "K": 1 << 10, "": 1}
LONGEST_QUANTITY_CHARACTERS = 32
# Above it a number without a unit may be meant in seconds or, as PM2 counts, in milliseconds.
LONGEST_BARE_SECONDS = 600
DURATION_EXAMPLES = "3s, 1m30s, 250ms, 2h, or a number of seconds"
SIZE_EXAMPLES = "500M, 1.5G, 64K, or a number of bytes"


def parse_duration(text: str) -> float:
    """Return the seconds that `text` means: a plain number, or numbers with units from large to small.

    Raises:
        ValueError: not a duration; the message says what one looks like.
    """
    parts = _split(text.strip())
    if len(parts) == 1 and parts[0][1] == "":
        return parts[0][0]
    units = [unit for _, unit in parts]
    # Each unit once and in falling order, or `30s1m` and `1m1m` would pass for something that was meant.
    if not parts or units != [unit for unit in SECONDS_BY_UNIT if unit in units]:
        raise ValueError(f"{text!r} is not a duration: give {DURATION_EXAMPLES}")
    return round(sum(number * SECONDS_BY_UNIT[unit] for number, unit in parts), 9)


def check_unit_is_clear(text: str) -> None:
    """Raise for a duration that a person typed without a unit and that is too long to be surely meant in seconds.

    Raises:
        ValueError: the message has both readings, with a unit.
    """
    parts = _split(text.strip())
    if len(parts) != 1 or parts[0][1] or parts[0][0] <= LONGEST_BARE_SECONDS:
        return
    number = f"{parts[0][0]:.9f}".rstrip("0").rstrip(".")
    as_seconds, as_milliseconds = format_duration(parts[0][0]), format_duration(parts[0][0] / 1000)
    raise ValueError(
        f"{number} may mean {as_seconds} or, in milliseconds, {as_milliseconds}:"
        f" type the unit, {number}s or {number}ms"
    )


def parse_size(text: str) -> int:
    """Return the bytes that `text` means; K, M, G and T are powers of 1024, with or without B or iB.

    Raises:
        ValueError: not a size; the message says what one looks like.
    """
    parts = _split(text.strip())
    unit = parts[0][1].upper().removesuffix("B").removesuffix("I") if len(parts) == 1 else "?"
    if unit not in BYTES_BY_UNIT:
        raise ValueError(f"{text!r} is not a size: give {SIZE_EXAMPLES}")
    return int(parts[0][0] * BYTES_BY_UNIT[unit])


def format_duration(seconds: float) -> str:
    """Return what `parse_duration` reads as `seconds`, to the millisecond: `1m30s`, `5ms`, `0s`."""
    rest_ms = round(seconds * 1000)
    text = ""
    for unit, unit_seconds in SECONDS_BY_UNIT.items():
        count, rest_ms = divmod(rest_ms, round(unit_seconds * 1000))
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def format_size(size_bytes: int) -> str:
    """Return the shortest text that `parse_size` reads as exactly `size_bytes`: `64K`, `1536`."""
    for unit, unit_bytes in BYTES_BY_UNIT.items():
        if size_bytes and size_bytes % unit_bytes == 0:
            return f"{size_bytes // unit_bytes}{unit}"
    return str(size_bytes)


def _split(text: str) -> list[tuple[float, str]]:
    """Return the (number, unit) pairs of `text`; nothing when it is no such sequence."""
    parts: list[tuple[float, str]] = []
    at = 0
    if len(text) > LONGEST_QUANTITY_CHARACTERS or not text.isascii():
        return []
    while at < len(text):
        number, at = _take(text, at, digits=True)
        unit, at = _take(text, at, digits=False)
        if number in ("", ".") or number.count(".") > 1:
            return []
        parts.append((float(number), unit))
    return parts


def _take(text: str, start: int, *, digits: bool) -> tuple[str, int]:
    end = start
    while end < len(text) and (text[end].isdigit() or text[end] == ".") is digits:
        end += 1
    return text[start:end], end
