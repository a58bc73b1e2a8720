"""Owns how the time in front of a line looks: moment's tokens, as PM2's users write them, or strftime's directives.

Pure; supervisor and shell. A format becomes a function once, so that a
line costs no parsing. Sources: momentjs.com/docs/#/displaying/format, strftime(3).
"""

import re
from collections.abc import Callable
from datetime import datetime

FormatTime = Callable[[datetime], str]

ISO_MILLISECONDS = "YYYY-MM-DDTHH:mm:ss.SSSZ"
LONGEST_FORMAT = 100
STRFTIME_DIRECTIVES = frozenset("aAbBcdHIjmMpSUwWxXyYzZfeDFRTsuV%")
# Longest first: a token is as long as it can be.
_TOKEN = re.compile(
    r"\[([^\]]*)\]|YYYY|YY|MMMM|MMM|MM|M|DDDD|DDD|DD|D|dddd|ddd|HH|H|hh|h|mm|m|ss|s|SSSSSS|SSS|SS|S|A|a|ZZ|Z|X|x"
)


def _offset(moment: datetime, separator: str) -> str:
    text = moment.strftime("%z") or "+0000"
    return text[:3] + separator + text[3:5]


_MOMENT: dict[str, FormatTime] = {
    "YYYY": lambda moment: f"{moment.year:04}",
    "YY": lambda moment: f"{moment.year % 100:02}",
    "MMMM": lambda moment: moment.strftime("%B"),
    "MMM": lambda moment: moment.strftime("%b"),
    "MM": lambda moment: f"{moment.month:02}",
    "M": lambda moment: str(moment.month),
    "DDDD": lambda moment: moment.strftime("%j"),
    "DDD": lambda moment: str(moment.timetuple().tm_yday),
    "DD": lambda moment: f"{moment.day:02}",
    "D": lambda moment: str(moment.day),
    "dddd": lambda moment: moment.strftime("%A"),
    "ddd": lambda moment: moment.strftime("%a"),
    "HH": lambda moment: f"{moment.hour:02}",
    "H": lambda moment: str(moment.hour),
    "hh": lambda moment: f"{(moment.hour - 1) % 12 + 1:02}",
    "h": lambda moment: str((moment.hour - 1) % 12 + 1),
    "mm": lambda moment: f"{moment.minute:02}",
    "m": lambda moment: str(moment.minute),
    "ss": lambda moment: f"{moment.second:02}",
    "s": lambda moment: str(moment.second),
    "SSSSSS": lambda moment: f"{moment.microsecond:06}",
    "SSS": lambda moment: f"{moment.microsecond // 1000:03}",
    "SS": lambda moment: f"{moment.microsecond // 10000:02}",
    "S": lambda moment: str(moment.microsecond // 100000),
    "A": lambda moment: "AM" if moment.hour < 12 else "PM",
    "a": lambda moment: "am" if moment.hour < 12 else "pm",
    "ZZ": lambda moment: _offset(moment, ""),
    "Z": lambda moment: _offset(moment, ":"),
    "X": lambda moment: str(int(moment.timestamp())),
    "x": lambda moment: str(int(moment.timestamp() * 1000)),
}


def compile_format(text: str) -> FormatTime:
    """Return the function that writes a time (aware, in the zone that is to be shown) as `text` says.

    A format with a `%` is strftime's; every other is moment's, in which a letter that is no token stands for itself,
    as does what is in brackets.

    Raises:
        ValueError: it shows nothing of a time, is too long, or is no format; the message says what to give.
    """
    if len(text) > LONGEST_FORMAT or any(ord(character) < 32 for character in text):
        raise ValueError(f"a format of the time is one line of at most {LONGEST_FORMAT} characters")
    return _compile_strftime(text) if "%" in text else _compile_moment(text)


def _compile_strftime(text: str) -> FormatTime:
    directives = re.findall(r"%-?(.?)", text, re.DOTALL)
    unknown = [letter for letter in directives if letter not in STRFTIME_DIRECTIVES]
    if unknown:
        raise ValueError(f"%{unknown[0]} is no directive of strftime: give such as '%Y-%m-%d %H:%M:%S'")
    return lambda moment: moment.strftime(text)


def _compile_moment(text: str) -> FormatTime:
    parts: list[FormatTime | str] = []
    at = 0
    for match in _TOKEN.finditer(text):
        parts.append(text[at : match.start()])
        parts.append(match.group(1) if match.group(1) is not None else _MOMENT[match.group()])
        at = match.end()
    parts.append(text[at:])
    if not any(callable(part) for part in parts):
        raise ValueError(f"{text!r} shows no time: give such as 'YYYY-MM-DD HH:mm:ss.SSS Z', or strftime's '%H:%M:%S'")
    return lambda moment: "".join(part(moment) if callable(part) else part for part in parts)
