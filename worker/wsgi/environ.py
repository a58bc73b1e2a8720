"""Owns what is the same in every WSGI environ of a worker, and of one of its addresses.

Runs in a worker process, at its start and with the first connection to an address; pure. What a request adds:
request_environ.pyx.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from .file_wrapper import FileWrapper

if TYPE_CHECKING:
    from ..local_addresses import LocalAddress
    from ..wire import WorkerConfig

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


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


def address_environ(base: Mapping[str, Any], server: "LocalAddress | None", secure: bool) -> Environ:
    """Return `base` with what is the same for every request that comes to the address `server`."""
    scheme, default_port = ("https", 443) if secure else ("http", 80)
    host, port = server or ("", None)
    environ = dict(base)
    environ["wsgi.url_scheme"] = scheme
    # A unix socket has no port, and CGI no other way to say so than the defaults.
    environ["SERVER_NAME"] = host if port is not None else "localhost"
    environ["SERVER_PORT"] = str(port if port is not None else default_port)
    return environ
