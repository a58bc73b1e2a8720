"""Owns who may read a site: one user with a password, by HTTP's basic authentication (RFC 7617).

Runs in workers. It never writes, shows or logs the password, and takes as long to refuse a wrong one as another.
"""

import base64
import binascii
import hashlib
import hmac

from .site import Site, SiteError

MAX_PASSWORD_BYTES = 1024
MAX_HEADER_CHARACTERS = 8 * MAX_PASSWORD_BYTES
_SCHEME = "basic "


class BasicAuth:
    """The user who may read a site."""

    def __init__(self, username: str, password: bytes) -> None:
        """Keep no password, only a digest: of equal length for all, so that a comparison tells nothing."""
        self._digest = _digest(username.encode() + b":" + password)

    def admits(self, header: str) -> bool:
        """Whether the header `Authorization` (empty: none) says user and password."""
        if len(header) > MAX_HEADER_CHARACTERS or header[: len(_SCHEME)].lower() != _SCHEME:
            return False
        try:
            said = base64.b64decode(header[len(_SCHEME) :].strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(_digest(said), self._digest)


def _digest(credentials: bytes) -> bytes:
    return hashlib.sha256(credentials).digest()


def read_auth(site: Site) -> BasicAuth | None:
    """Return who may read `site`; None: everybody.

    Raises:
        SiteError: the password cannot be read, is empty, or is longer than MAX_PASSWORD_BYTES.
    """
    if not site.needs_password:
        return None
    password = _first_line(site.password_file) if site.password_file else site.password.encode()
    if not password or len(password) > MAX_PASSWORD_BYTES:
        where = site.password_file or "the variable"
        raise SiteError(f"{where}: its first line is the password, of 1 to {MAX_PASSWORD_BYTES} bytes")
    return BasicAuth(site.username, password)


def _first_line(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.readline(MAX_PASSWORD_BYTES + 2).rstrip(b"\r\n")
    except OSError as error:
        raise SiteError(f"the password cannot be read: {path}: {error.strerror}") from None
