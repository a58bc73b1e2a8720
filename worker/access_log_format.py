"""Owns the format of access log lines: the atoms that gunicorn's users know, `%(h)s`, `%(D)s`, `%({Host}i)s`.

Any process: a shell checks a format, a worker writes lines by it. What a client has sent is escaped, so that it can
neither end a line nor speak to a terminal. The atoms are those of gunicorn's `access_log_format`:
https://docs.gunicorn.org/en/stable/settings.html#access-log-format
"""

import base64
import binascii
import functools
import json
import os
import re
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ESCAPES = {number: f"\\x{number:02x}" for number in (*range(32), 127)} | {ord('"'): '\\"', ord("\\"): "\\\\"}
NOTHING = "-"
REQUEST_ID = "x-request-id"
ATOM = re.compile(r"%\((?P<name>[^()]*)\)(?P<width>-?[0-9]{0,3})(?P<conversion>[sd])|%%|%")
FIELD = re.compile(r"\{(?P<field>[^{}]+)\}(?P<source>[ioe])")


class AnsweredRequest(Protocol):
    """What a line can tell of a request."""

    @property
    def client(self) -> str:
        """Address of the client; "" if it has none."""

    @property
    def method(self) -> str:
        """The request's method."""

    @property
    def target(self) -> str:
        """Path and query, as the client sent them."""

    @property
    def protocol(self) -> str:
        """HTTP/1.1 or HTTP/1.0."""

    @property
    def status(self) -> int:
        """Of the response."""

    @property
    def body_bytes(self) -> int:
        """How much of a body was sent."""

    @property
    def duration_ns(self) -> int:
        """From the head of the request to the end of the response."""

    def request_header(self, name: str) -> str | None:
        """Return the request's header `name`, whatever its case; None: it has none."""

    def response_header(self, name: str) -> str | None:
        """Return the header `name` of the app's response."""

    def variable(self, name: str) -> str | None:
        """Return the variable `name` of the request or of the process."""


Line = Callable[[AnsweredRequest], str]
Atom = Callable[[AnsweredRequest], str | int]


def _user(request: AnsweredRequest) -> str:
    scheme, _, credentials = (request.request_header("authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return NOTHING
    try:
        name, colon, _ = base64.b64decode(credentials.strip(), validate=True).decode("utf-8", "replace").partition(":")
    except (binascii.Error, ValueError):
        return NOTHING
    return name if colon and name else NOTHING


def _time(_: AnsweredRequest) -> str:
    return _local_second(int(time.time()))


@functools.lru_cache(maxsize=2)
def _local_second(moment: int) -> str:
    now = time.localtime(moment)
    # Not %b: an app may have changed the locale.
    return time.strftime(f"[%d/{MONTHS[now.tm_mon - 1]}/%Y:%H:%M:%S %z]", now)


def _seconds(request: AnsweredRequest) -> str:
    microseconds = request.duration_ns // 1000
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


TEXTS: dict[str, Atom] = {
    "h": lambda request: request.client or NOTHING,
    "l": lambda request: NOTHING,
    "u": _user,
    "t": _time,
    "r": lambda request: f"{request.method} {request.target} {request.protocol}",
    "m": lambda request: request.method,
    "U": lambda request: request.target.partition("?")[0],
    "q": lambda request: request.target.partition("?")[2],
    "H": lambda request: request.protocol,
    "b": lambda request: request.body_bytes or NOTHING,
    "f": lambda request: request.request_header("referer") or NOTHING,
    "a": lambda request: request.request_header("user-agent") or NOTHING,
    "L": _seconds,
    "p": lambda request: f"<{os.getpid()}>",
}
NUMBERS: dict[str, Atom] = {
    "s": lambda request: request.status,
    "B": lambda request: request.body_bytes,
    "T": lambda request: request.duration_ns // 1_000_000_000,
    "M": lambda request: request.duration_ns // 1_000_000,
    "D": lambda request: request.duration_ns // 1000,
}
KNOWN = ", ".join(f"%({name})s" for name in (*TEXTS, *NUMBERS)) + ", %({Header}i)s, %({Header}o)s, %({VARIABLE}e)s"


def compile_access_log_format(text: str) -> Line:
    """Return what makes a line of an answered request, as `text` says; "json": an object.

    Raises:
        ValueError: it has an atom that does not exist, or a % that begins none; the message says which and what exists.
    """
    if text == "json":
        return json_line
    if not text.isprintable():
        raise ValueError("a line of the access log is one line of printable characters")
    parts: list[str | Atom] = []
    end = 0
    for found in ATOM.finditer(text):
        parts += [text[end : found.start()], _part(found, text)]
        end = found.end()
    parts.append(text[end:])

    def line(request: AnsweredRequest) -> str:
        return "".join(part if isinstance(part, str) else str(part(request)) for part in parts)

    return line


def json_line(request: AnsweredRequest) -> str:
    """Return a request as a JSON object, of printable ASCII; `request_id` is that of X-Request-ID, if there is one."""
    path, _, query = request.target.partition("?")
    now_ms = time.time_ns() // 1_000_000
    members: dict[str, str | int | float] = {
        "time": f"{_utc_second(now_ms // 1000)}.{now_ms % 1000:03}Z",
        "client": request.client,
        "method": request.method,
        "path": path,
        "query": query,
        "protocol": request.protocol,
        "status": request.status,
        "bytes": request.body_bytes,
        "duration_ms": request.duration_ns // 1000 / 1000,
        "referer": request.request_header("referer") or "",
        "user_agent": request.request_header("user-agent") or "",
    }
    request_id = request.request_header(REQUEST_ID) or request.response_header(REQUEST_ID)
    if request_id:
        members["request_id"] = request_id
    text = msgspec.json.encode(members).decode()
    return (text if text.isascii() else json.dumps(members, separators=(",", ":"))).replace("\x7f", "\\u007f")


@functools.lru_cache(maxsize=2)
def _utc_second(now: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))


def escape(text: str) -> str:
    """Return `text` as printable ASCII, with quotes and backslashes marked: nothing in it ends a line or a field."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    text = text.translate(ESCAPES)
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode()


def _part(found: "re.Match[str]", text: str) -> str | Atom:
    if found[0] == "%%":
        return "%"
    name = found["name"]
    if name is None:
        raise ValueError(f"{text[found.start() :][:12]!r} is no atom: write %(h)s, or %% for a %")
    atom = NUMBERS.get(name) or TEXTS.get(name) or _field(name)
    if found["conversion"] == "d" and name not in NUMBERS:
        raise ValueError(f"%({name}){found['width']}d is no number: write %({name})s")
    form = f"%{found['width']}s"

    def plain(request: AnsweredRequest) -> str:
        value = atom(request)
        return escape(value) if isinstance(value, str) else str(value)

    def padded(request: AnsweredRequest) -> str:
        value = atom(request)
        return form % (escape(value) if isinstance(value, str) else value)

    return padded if found["width"] else plain


def _field(name: str) -> Atom:
    found = FIELD.fullmatch(name)
    if not found:
        raise ValueError(f"%({name})s is no atom: there are {KNOWN}")
    field, source = found["field"], found["source"]
    if source == "e":
        return lambda request: request.variable(field) or NOTHING
    if source == "i":
        return lambda request: request.request_header(field) or NOTHING
    return lambda request: request.response_header(field) or NOTHING
