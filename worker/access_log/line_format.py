"""Owns what a format of access log lines means: the atoms that gunicorn's users know, `%(h)s`, `%(D)s`, `%({Host}i)s`.

Any process: a shell checks a format; a worker makes lines of what it is taken apart to (`lines.pyx`). Pure. The atoms
are those of gunicorn's `access_log_format`: https://docs.gunicorn.org/en/stable/settings.html#access-log-format
"""

import base64
import binascii
import re
import time
from typing import NamedTuple

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ESCAPES = {number: f"\\x{number:02x}" for number in (*range(32), 127)} | {ord('"'): '\\"', ord("\\"): "\\\\"}
NOTHING = "-"
JSON = "json"
ATOM = re.compile(r"%\((?P<name>[^()]*)\)(?P<width>-?[0-9]{0,3})(?P<conversion>[sd])|%%|%")
FIELD = re.compile(r"\{(?P<field>[^{}]+)\}(?P<source>[ioe])")
TEXTS = "hlutrmUqHbfaLp"
NUMBERS = "sBTMD"
KNOWN = ", ".join(f"%({name})s" for name in TEXTS + NUMBERS) + ", %({Header}i)s, %({Header}o)s, %({VARIABLE}e)s"
# What no format can name: the client with its port, as uvicorn writes it.
CLIENT_WITH_PORT = "c"


class Part(NamedTuple):
    """A part of a line.

    Attributes:
        atom: one of TEXTS, NUMBERS, CLIENT_WITH_PORT; "i", "o", "e": a header of the request, of the response, a
            variable; "": text.
        argument: the text, or the name of the header or variable.
        width: least length of what the atom says, in characters; negative: it stands on the left.
    """

    atom: str
    argument: str = ""
    width: int = 0


# Client, request line, status: what a worker writes when no format is given.
DEFAULT_LINE = (
    Part(CLIENT_WITH_PORT),
    Part("", ' - "'),
    Part("r"),
    Part("", '" '),
    Part("s"),
)


def parse_access_log_format(text: str) -> tuple[Part, ...]:
    """Return what a line consists of; "json" has no parts.

    Raises:
        ValueError: it has an atom that does not exist, or a % that begins none; the message says which and what exists.
    """
    if text == JSON:
        return ()
    if not text.isprintable():
        raise ValueError("a line of the access log is one line of printable characters")
    parts: list[Part] = []
    end = 0
    for found in ATOM.finditer(text):
        parts += [Part("", text[end : found.start()]), _part(found, text)]
        end = found.end()
    parts.append(Part("", text[end:]))
    return tuple(part for part in parts if part.atom or part.argument)


def escape(text: str) -> str:
    """Return `text` as printable ASCII, with quotes and backslashes marked: nothing in it ends a line or a field."""
    return text.translate(ESCAPES).encode("ascii", "backslashreplace").decode()


def user_of(authorization: str) -> str:
    """Return who a header `Authorization` of the basic scheme names; "": it names nobody."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        name, colon, _ = base64.b64decode(credentials.strip(), validate=True).decode("utf-8", "replace").partition(":")
    except (binascii.Error, ValueError):
        return ""
    return name if colon else ""


def local_time(moment: int) -> str:
    """Return a time in seconds since the epoch as `[26/Nov/2026:11:00:00 +0000]`."""
    now = time.localtime(moment)
    # Not %b: an app may have changed the locale.
    return time.strftime(f"[%d/{MONTHS[now.tm_mon - 1]}/%Y:%H:%M:%S %z]", now)


def utc_time(moment: int) -> str:
    """Return a time in seconds since the epoch as `2026-11-26T11:00:00`."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))


def _part(found: "re.Match[str]", text: str) -> Part:
    if found[0] == "%%":
        return Part("", "%")
    name = found["name"]
    if name is None:
        raise ValueError(f"{text[found.start() :][:12]!r} is no atom: write %(h)s, or %% for a %")
    width = int(found["width"].strip("-") or 0) * (-1 if found["width"].startswith("-") else 1)
    if len(name) == 1 and name in TEXTS + NUMBERS:
        part = Part(name, "", width)
    elif field := FIELD.fullmatch(name):
        part = Part(field["source"], field["field"], width)
    else:
        raise ValueError(f"%({name})s is no atom: there are {KNOWN}")
    if found["conversion"] == "d" and part.atom not in tuple(NUMBERS):
        raise ValueError(f"%({name}){found['width']}d is no number: write %({name})s")
    return part
