"""Owns the rules for what an app says in start_response: status and headers, and their bytes on the wire.

Runs in the app's threads; no I/O, and no state but the remembered roles of names. Refuses what would let a value
become a header or a response of its own (CR, LF) and every other control character (RFC 9110 5.5), drops hop-by-hop
headers, which PEP 3333 forbids to apps.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# Names whose role is remembered; more than an app ever uses, fewer and shorter than an attacker would like (an app may
# send what it was sent).
ROLES_LIMIT = 2048
ROLE_NAME_LENGTH = 128

PLAIN, CONTENT_LENGTH, CONNECTION, DATE, SERVER, DROPPED = range(6)
SPECIAL = {
    "content-length": CONTENT_LENGTH,
    "connection": CONNECTION,
    "date": DATE,
    "server": SERVER,
    "keep-alive": DROPPED,
    "proxy-authenticate": DROPPED,
    "proxy-authorization": DROPPED,
    "te": DROPPED,
    "trailer": DROPPED,
    "trailers": DROPPED,
    "transfer-encoding": DROPPED,
    "upgrade": DROPPED,
}
_roles: dict[str, int] = {}
_codes: dict[str, int] = {
    f"{status.value} {status.phrase}": status.value for status in HTTPStatus if status >= 200
}


class ResponseHead:
    """A checked status and headers.

    Attributes:
        code: the status code.
        text: status line and the app's headers, joined by CR LF, without an end.
        content_length: as the app gave it; -1: it did not.
        close: the app wants the connection closed.
        has_date, has_server: the app has its own.
    """

    __slots__ = ("close", "code", "content_length", "has_date", "has_server", "text")

    def __init__(self, status: str, headers: Sequence[tuple[str, str]]) -> None:
        """Check and encode.

        Raises:
            TypeError: something is not a str, or not a pair.
            ValueError: a status or header that may not be sent.
        """
        self.code = _codes.get(status) or parse_status(status)
        self.content_length = -1
        self.close = self.has_date = self.has_server = False
        # The space stays where there is no reason (RFC 9112 4).
        lines = [f"HTTP/1.1 {status} " if len(status) == 3 else f"HTTP/1.1 {status}"]
        for name, value in headers:
            if type(name) is not str or type(value) is not str:
                _require_str(name, value)
            role = _roles.get(name)
            if role is None:
                role = classify(name)
            if role == PLAIN or self._note(role, value):
                lines.append(f"{name}: {value}")
        self.text = "\r\n".join(lines)
        # isprintable() is quick and refuses a little too much: a tab, and most that is not ASCII.
        if not "".join(lines).isprintable() and (culprit := _culprit(lines)):
            raise ValueError(f"a control character in status or headers: {culprit!r}")
        if not self.text.isascii():
            self.text.encode(
                "latin-1"
            )  # PEP 3333: strings of code points below 256; UnicodeEncodeError otherwise

    @property
    def has_no_body(self) -> bool:
        """Whether responses of this status never have a body (RFC 9110 15.3.5, 15.4.5)."""
        return self.code == 204 or self.code == 304

    def _note(self, role: int, value: str) -> bool:
        """Take note of a header with a meaning for us; return whether it is sent as it is."""
        if role == CONTENT_LENGTH:
            self._note_length(value)
            return self.code != 204
        if role == CONNECTION:
            self.close = self.close or "close" in map(str.strip, value.lower().split(","))
        elif role == DATE:
            self.has_date = True
        elif role == SERVER:
            self.has_server = True
        return role in (DATE, SERVER)

    def _note_length(self, value: str) -> None:
        if self.content_length >= 0:
            raise ValueError("two Content-Length headers")
        if not (value.isascii() and value.isdecimal()):
            raise ValueError(f"Content-Length is not a number: {value!r}")
        self.content_length = int(value)


def parse_status(status: str) -> int:
    """Return the code of a status string such as "200 OK".

    Raises:
        TypeError: not a str.
        ValueError: not three digits and a reason, or below 200: an app has one, final response.
    """
    if not isinstance(status, str):
        raise TypeError(f"status must be str, not {type(status).__name__}")
    digits = status[:3]
    if len(digits) < 3 or not (digits.isascii() and digits.isdecimal()) or status[3:4] not in ("", " "):
        raise ValueError(f"status must be three digits, a space and a reason: {status!r}")
    if int(digits) < 200:
        raise ValueError(f"a response to a request has a status of 200 or more: {status!r}")
    return int(digits)


def classify(name: str) -> int:
    """Return the role of the header `name`; raises ValueError when it is no token (RFC 9110 5.6.2)."""
    if not TOKEN.fullmatch(name):
        raise ValueError(f"not a header name: {name!r}")
    role = SPECIAL.get(name.lower(), PLAIN)
    if len(_roles) < ROLES_LIMIT and len(name) <= ROLE_NAME_LENGTH:
        _roles[name] = role
    return role


def _require_str(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"header name and value must be str: {name!r}: {value!r}")


def _culprit(lines: list[str]) -> str:
    return next(filter(CONTROL.search, lines), "")
