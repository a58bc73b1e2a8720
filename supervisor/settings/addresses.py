"""Owns the syntax of `--bind`: a text in, where to listen out. Pure; used by supervisor and command line."""

import re
from typing import NoReturn

import msgspec

from ..errors import UsageError

DEFAULT_PORT = 8000
MAX_UNIX_PATH_BYTES = 107  # sun_path without its final NUL: unix(7)
SYSTEMD_FIRST_FD = 3  # SD_LISTEN_FDS_START: sd_listen_fds(3)
ANY_HOST = ""
FORMS = "HOST:PORT, [IPV6]:PORT, :PORT (every address), PORT (127.0.0.1), unix:PATH, fd:N or fd:systemd"
_IPV6 = re.compile(r"\[(?P<host>[^\[\]]+)\](?::(?P<port>.*))?")
# What getaddrinfo(3) may be asked: names, IPv4 addresses; no spaces, slashes or brackets.
_HOST = re.compile(r"[A-Za-z0-9_.\-]{1,253}")


class TcpAddress(msgspec.Struct, frozen=True):
    """A host (name or address; ANY_HOST: every address of both families) and a port; 0: any free one."""

    host: str
    port: int


class UnixAddress(msgspec.Struct, frozen=True):
    """The path of a socket file, as it was written: relative to the directory of the start."""

    path: str


class InheritedFd(msgspec.Struct, frozen=True):
    """A listening socket that the caller opened for us."""

    fd: int


class SystemdSockets(msgspec.Struct, frozen=True):
    """All sockets that systemd passed (LISTEN_FDS)."""


BindAddress = TcpAddress | UnixAddress | InheritedFd | SystemdSockets


def parse_address(spec: str) -> BindAddress:
    """Understand one `--bind`.

    Raises:
        UsageError: names the part that is wrong, and the forms that exist.
    """
    scheme, _, rest = spec.partition(":")
    if scheme == "unix":
        return _parse_unix(spec, rest)
    if scheme == "fd":
        return _parse_fd(spec, rest)
    return _parse_tcp(spec)


def check_proxies(allowed: str) -> None:
    """Raise for an entry of `--forwarded-allow-ips` that can be none.

    Raises:
        ValueError: says which, and what to write.
    """
    from ipaddress import ip_network  # of all commands only a start with such an entry needs it

    for entry in map(str.strip, allowed.split(",")):
        if entry.startswith("unix:") and entry != "unix:":
            raise ValueError(f"{entry!r}: write unix: alone, which means every unix socket of --bind")
        if "/" in entry:
            try:
                ip_network(entry, strict=False)
            except ValueError:
                raise ValueError(f"{entry!r} is no network: write one as 10.0.0.0/8 or 2001:db8::/32") from None


def _parse_unix(spec: str, path: str) -> UnixAddress:
    if not path or "\0" in path:
        _refuse(spec, "the path of the socket is missing" if not path else "the path contains a NUL")
    if path.startswith("@"):
        _refuse(spec, f"an abstract socket has neither owner nor mode: anybody could connect; a file is unix:./{path}")
    return UnixAddress(path)


def _parse_fd(spec: str, number: str) -> BindAddress:
    if number == "systemd":
        return SystemdSockets()
    if not re.fullmatch(r"[0-9]{1,7}", number):
        _refuse(spec, f"{number!r} is not the number of a descriptor")
    if int(number) < 3:
        _refuse(spec, "0, 1 and 2 are standard input, output and error")
    return InheritedFd(int(number))


def _parse_tcp(spec: str) -> TcpAddress:
    if re.fullmatch(r"[0-9]+", spec):
        return TcpAddress("127.0.0.1", _parse_port(spec, spec))
    if spec in ("localhost", "*"):
        return TcpAddress("localhost" if spec == "localhost" else ANY_HOST, DEFAULT_PORT)
    bracketed = _IPV6.fullmatch(spec)
    if bracketed:
        return TcpAddress(bracketed["host"], _parse_port(spec, bracketed["port"]))
    host, colon, port = spec.rpartition(":")
    if not colon:
        _refuse(spec, "the port is missing")
    if ":" in host:
        _refuse(spec, "an IPv6 address is written in brackets, such as [::1]:8000")
    if host not in ("", "*") and not _HOST.fullmatch(host):
        _refuse(spec, f"{host!r} is not a host name")
    return TcpAddress(ANY_HOST if host in ("", "*") else host, _parse_port(spec, port))


def _parse_port(spec: str, port: str | None) -> int:
    if not port:
        _refuse(spec, "the port is missing")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        _refuse(spec, f"{port!r} is not a port (0 to 65535)")
    return int(port)


def _refuse(spec: str, reason: str) -> NoReturn:
    raise UsageError(f"--bind {spec}: {reason}. Write {FORMS}")
