"""Owns the making of a WSGI environ from the bytes of a request head: names, target, addresses.

Runs in the event loop's thread of a worker process; no I/O, and no state but remembered names and hosts. PEP 3333
is the authority on what is in an environ; REQUEST_URI and RAW_URI (the target as the client sent it) and
REMOTE_PORT are what other servers add.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import unquote

from .file_wrapper import FileWrapper

if TYPE_CHECKING:
    from ..wire import WorkerConfig

Environ = dict[str, Any]
# (host, port) of an end of a connection; None: a unix socket, which has no such thing.
InetAddress = tuple[str, int] | None

# Names and hosts that are remembered: enough for every honest client, bounded for the others, in number and in bytes.
REMEMBERED = 2048
REMEMBERED_BYTES = 128
HOST = re.compile(r"[A-Za-z0-9._~!$&'()*+;=%-]*(:[0-9]*)?|\[[0-9A-Fa-f:.%a-z]+\](:[0-9]*)?")

_keys: dict[bytes, str] = {b"Content-Type": "CONTENT_TYPE", b"Content-Length": "CONTENT_LENGTH"}
_hosts: set[str] = set()


def header_key(name: bytes) -> str:
    """Return the environ key of a request header, "" when the header is dropped.

    Dropped are names with an underscore, which would pass for another header's key, and Proxy,
    whose key HTTP_PROXY is taken for an environment variable by CGI-like code (https://httpoxy.org).
    """
    key = _keys.get(name)
    if key is None:
        key = _make_key(name)
        if len(_keys) < REMEMBERED and len(name) <= REMEMBERED_BYTES:
            _keys[name] = key
    return key


def is_host(host: str) -> bool:
    """Say whether `host` may be the value of a Host header (RFC 9112 3.2)."""
    if host in _hosts:
        return True
    if not HOST.fullmatch(host):
        return False
    if len(_hosts) < REMEMBERED and len(host) <= REMEMBERED_BYTES:
        _hosts.add(host)
    return True


def add_target(environ: Environ, target: str) -> None:
    """Set everything that derives from the request target: origin, absolute or asterisk form (RFC 9112 3.2).

    REQUEST_METHOD and SCRIPT_NAME must be in `environ`. A path below the latter is cut; another path is left whole,
    because a proxy in front may have cut it already.

    Raises:
        ValueError: no form that a server without CONNECT answers.
    """
    if target == "*" and environ["REQUEST_METHOD"] != "OPTIONS":
        raise ValueError("the asterisk is a target of OPTIONS only (RFC 9112 3.2.4)")
    environ["RAW_URI"] = environ["REQUEST_URI"] = target
    if target[:1] != "/":
        target = _origin_form(environ, target)
    path, _, query = target.partition("?")
    if "#" in target:
        path, query = path.partition("#")[0], query.partition("#")[0]
    if "%" in path:
        path = unquote(path, "latin-1")
    prefix = environ["SCRIPT_NAME"]
    if prefix and (path == prefix or path.startswith(prefix + "/")):
        path = path[len(prefix) :]
    environ["PATH_INFO"] = path
    environ["QUERY_STRING"] = query


def worker_environ(config: "WorkerConfig", errors: TextIO) -> Environ:
    """Return what is the same for every request of a worker."""
    return {
        "SCRIPT_NAME": config.root_path.rstrip("/"),
        "SERVER_SOFTWARE": "fastlb",
        "wsgi.version": (1, 0),
        "wsgi.errors": errors,
        "wsgi.multithread": config.threads > 1,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        # The input ends by itself, also where no Content-Length was sent.
        "wsgi.input_terminated": True,
    }


def connection_environ(base: Mapping[str, Any], client: InetAddress, server: InetAddress, secure: bool) -> Environ:
    """Return `base` with what is the same for every request of a connection."""
    scheme, default_port = ("https", 443) if secure else ("http", 80)
    host, port = server or ("localhost", default_port)
    environ = dict(base)
    environ["wsgi.url_scheme"] = scheme
    environ["SERVER_NAME"] = host
    environ["SERVER_PORT"] = str(port)
    environ["REMOTE_ADDR"] = client[0] if client else ""
    if client:
        environ["REMOTE_PORT"] = str(client[1])
    return environ


def _make_key(name: bytes) -> str:
    text = name.decode("latin-1").upper()
    if "_" in text or text == "PROXY":
        return ""
    key = text.replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def _origin_form(environ: Environ, target: str) -> str:
    """Return path and query of another form of target, "" for `*`; its host wins over Host."""
    if target == "*":
        return ""
    scheme, separator, rest = target.partition("://")
    end = min((position for position in map(rest.find, "/?#") if position >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if not separator or scheme.lower() not in ("http", "https") or not authority or not is_host(authority):
        raise ValueError(f"request target: {target!r}")
    environ["HTTP_HOST"] = authority
    return path if path.startswith("/") else "/" + path
