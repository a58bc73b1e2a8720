"""Owns who may see the page, and who may do something by it: token, session, host and origin. Pure; the user's shell.

A browser proves that it knows the token once and gets two words that hold until the console ends: the session, in a
cookie, by which it may read, and a key, which it sends in a header, by which it may do something. Browsers send cookies
to every port of a host: so what an app there gets to see is not enough for doing anything.
"""

import hmac
import ipaddress
import os
import secrets
import stat
from collections import deque
from pathlib import Path
from urllib.parse import urlsplit

from ...supervisor.errors import FastlbError, UsageError
from ...supervisor.regular_file import open_regular

TOKEN_BYTES = 32
MIN_TOKEN_CHARACTERS = 20
MAX_TOKEN_FILE_BYTES = 4096
KEY_HEADER = "x-console-key"
MAX_FAILURES = 10
FAILURES_SECONDS = 60.0


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def read_token(path: Path) -> str:
    """Return the token that a file holds in one line.

    Raises:
        FastlbError: it cannot be read.
        UsageError: others may read it, or what it holds is too short.
    """
    try:
        fd = open_regular(path, os.O_RDONLY)
    except OSError as error:
        raise FastlbError(f"--token-file: cannot read {path}: {error.strerror or error}") from error
    try:
        mode = os.fstat(fd).st_mode
        token = os.read(fd, MAX_TOKEN_FILE_BYTES).decode(errors="replace").strip()
    finally:
        os.close(fd)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"--token-file {path}: others may read or write it: `chmod 600 {path}`")
    if len(token) < MIN_TOKEN_CHARACTERS or not token.isprintable() or " " in token:
        raise UsageError(
            f"--token-file {path}: it must hold one word of at least {MIN_TOKEN_CHARACTERS} characters, such as"
            " `openssl rand -hex 32` prints"
        )
    return token


class Access:
    """What a browser must know.

    Args:
        token: by which it begins.
        port: of the console; cookies do not know it, and two consoles must not take each other's.

    Attributes:
        cookie: the name of the cookie.
        session, key: what a browser gets for the token.
    """

    def __init__(self, token: str, port: int) -> None:
        self._token = token
        self._failures: deque[float] = deque(maxlen=MAX_FAILURES)
        self.cookie = f"fastlb-console-{port}"
        # Of this start alone: with a token from a file, too, they end with the console.
        self.session = secrets.token_urlsafe(TOKEN_BYTES)
        self.key = secrets.token_urlsafe(TOKEN_BYTES)

    def may_try(self, now: float) -> bool:
        """Whether a token is looked at: after too many wrong ones none is for a while. `now`: monotonic."""
        return len(self._failures) < MAX_FAILURES or self._failures[0] <= now - FAILURES_SECONDS

    def knows_token(self, token: str, now: float) -> bool:
        """Whether it is the token; `now`: monotonic."""
        is_right = same(token, self._token)
        if not is_right:
            self._failures.append(now)
        return is_right


def same(given: str, wanted: str) -> bool:
    """Whether two words are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


class Hosts:
    """By which names the console may be called; by others a page of somebody else's could reach it (DNS rebinding).

    Args:
        is_loopback: whether it listens on this machine alone.
        names: others than localhost and addresses.
    """

    def __init__(self, *, is_loopback: bool, names: tuple[str, ...]) -> None:
        self._is_loopback = is_loopback
        self._names = {"localhost", *(name.lower() for name in names)}

    def allow(self, host: str) -> bool:
        """Whether a Host header is one of ours, whatever its port: it may be another's end of a tunnel."""
        name = _host_name(host)
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._is_loopback


def is_loopback(address: str) -> bool:
    """Whether an address, as getsockname(2) returns it, is reached from this machine alone."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def is_same_origin(host: str, origin: str | None, fetch_site: str | None) -> bool:
    """Whether a request comes from our own page, or from no page at all.

    Args:
        host, origin, fetch_site: the headers Host, Origin and Sec-Fetch-Site; None: there is none.
    """
    if origin is not None:
        try:
            return urlsplit(origin).netloc.lower() == host.lower()
        except ValueError:
            return False
    return fetch_site in (None, "same-origin", "none")


def is_https(scheme: str, origin: str | None) -> bool:
    """Whether a browser reaches us by TLS: itself, or a proxy in front of us, which its Origin header tells.

    Whoever sends another Origin than that of our own page is refused before; a page cannot choose it.
    """
    return scheme == "https" or (origin or "").lower().startswith("https://")


def _host_name(host: str) -> str:
    """Return the name in a Host header without its port; empty: it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "") if not set(host) & set("/@?# ") else ""
    except ValueError:
        return ""
