"""Owns what may be the name of a cookie: RFC 6265, a token of HTTP. Pure; any process."""

import re

LONGEST = 64  # lb/opening/request_head.pxd
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")


def check_cookie_name(name: str) -> None:
    """Raise for what can be the name of no cookie.

    Raises:
        ValueError: says why.
    """
    if len(name) > LONGEST or not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a cookie: give at most {LONGEST} letters, digits, - or _")
