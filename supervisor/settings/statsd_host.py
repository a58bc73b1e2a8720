"""Owns what `statsd_host` and `statsd_prefix` may be. Pure; supervisor and shell."""

import re

import msgspec

_FORM = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%]+)\]|(?P<host>[A-Za-z0-9_.\-]{1,253})):(?P<port>[0-9]{1,5})")
_NAME = re.compile(r"([A-Za-z0-9_\-]{1,63}\.)*[A-Za-z0-9_\-]{1,63}\.?")  # what the resolver takes, RFC 1035 2.3.4
_PREFIX = re.compile(r"[A-Za-z0-9_.\-]{0,200}")


class StatsdAddress(msgspec.Struct, frozen=True):
    """Where a StatsD server listens."""

    host: str
    port: int


def parse_statsd_host(text: str) -> StatsdAddress:
    """Return what HOST:PORT or [IPV6]:PORT means.

    Raises:
        ValueError: it is none.
    """
    found = _FORM.fullmatch(text)
    if not found or not 0 < int(found["port"]) <= 65535:
        raise ValueError(f"{text!r}: write HOST:PORT or [IPV6]:PORT, such as 127.0.0.1:8125")
    if found["host"] and not _NAME.fullmatch(found["host"]):
        raise ValueError(f"{text!r}: no such host can be: each part of a name has 1 to 63 characters between its dots")
    return StatsdAddress(found["ipv6"] or found["host"], int(found["port"]))


def check_statsd_host(text: str) -> None:
    """Raise ValueError for what is no address."""
    if text:
        parse_statsd_host(text)


def check_statsd_prefix(text: str) -> None:
    """Raise ValueError for what would be no name."""
    if not _PREFIX.fullmatch(text):
        raise ValueError(f"{text!r}: letters, digits, dots, _ and - make a prefix")
