"""Owns the access log lines of a WSGI worker: in the form that uvicorn's users know, or as the setting says.

Runs in the event loop's thread of a worker process. The logger's handler writes to standard output. Only made
when the setting `access_log` is on.
"""

import logging
import os
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING

from ..access_log_format import compile_access_log_format

if TYPE_CHECKING:
    from ..wire import WorkerConfig
    from .exchange import Exchange

logger = logging.getLogger("uvicorn.access")


def access_logger(config: "WorkerConfig") -> "Callable[[Exchange], None] | None":
    """Return what logs an answered request; None: nothing does."""
    if not config.access_log:
        return None
    if not config.access_log_format:
        return log_access
    line = compile_access_log_format(config.access_log_format)
    return lambda exchange: logger.info("%s", line(AnsweredExchange(exchange)))


def log_access(exchange: "Exchange") -> None:
    """Log client, request line, status. The parser lets no control character through.

    The arguments are those of uvicorn, whose formatters (in a `log_config`) count on them.
    """
    environ = exchange.environ
    logger.info(
        '%s - "%s %s HTTP/%s" %d',
        f"{environ.get('REMOTE_ADDR')}:{environ.get('REMOTE_PORT', '')}",
        environ.get("REQUEST_METHOD"),
        environ.get("RAW_URI"),
        str(environ.get("SERVER_PROTOCOL")).removeprefix("HTTP/"),
        exchange.code,
    )


class AnsweredExchange:
    """What a line can tell of a request that the app is done with."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._environ = exchange.environ
        self.status = exchange.code
        self.body_bytes = exchange.body_bytes
        self.duration_ns = monotonic_ns() - exchange.began_ns
        self.client = self._text("REMOTE_ADDR")
        self.method = self._text("REQUEST_METHOD")
        self.target = self._text("RAW_URI")
        self.protocol = self._text("SERVER_PROTOCOL")

    def request_header(self, name: str) -> str | None:
        """As in AnsweredRequest."""
        key = name.upper().replace("-", "_")
        return self.variable_of_request(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")

    def response_header(self, name: str) -> str | None:
        """As in AnsweredRequest."""
        return self._exchange.response_header(name)

    def variable(self, name: str) -> str | None:
        """As in AnsweredRequest: of the environ, else of the process."""
        return self.variable_of_request(name) or os.environ.get(name)

    def variable_of_request(self, name: str) -> str | None:
        """Return the variable `name` of the environ, which the app may have changed."""
        value = self._environ.get(name)
        return None if value is None else str(value)

    def _text(self, name: str) -> str:
        return str(self._environ.get(name, ""))
