"""Owns what a WSGI worker knows of a request for its access log line. Runs in the event loop's thread of a worker process.

What an app has changed in the environ is in the line: behind middleware that knows the client, it is the client's.
"""

import os
from time import monotonic_ns
from typing import TYPE_CHECKING

from fastlb.worker.access_log.lines import AnsweredRequest

if TYPE_CHECKING:
    from .exchange import Exchange


class AnsweredExchange(AnsweredRequest):
    """A request that the app is done with."""

    __slots__ = ("_environ", "_exchange")

    def __init__(self, exchange: "Exchange") -> None:
        environ = self._environ = exchange.environ
        self._exchange = exchange
        self.status = exchange.code
        self.body_bytes = exchange.body_bytes
        self.duration_ns = monotonic_ns() - exchange.began_ns
        self.client = str(environ.get("REMOTE_ADDR", ""))
        port = str(environ.get("REMOTE_PORT", ""))
        self.client_port = int(port) if port.isdecimal() else 0
        self.method = str(environ.get("REQUEST_METHOD", ""))
        self.target = str(environ.get("RAW_URI", ""))
        self.protocol = str(environ.get("SERVER_PROTOCOL", ""))

    def request_header(self, name: str) -> str | None:
        """As in AnsweredRequest."""
        key = name.upper().replace("-", "_")
        return self._variable_of_request(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")

    def response_header(self, name: str) -> str | None:
        """As in AnsweredRequest."""
        return self._exchange.response_header(name)

    def variable(self, name: str) -> str | None:
        """As in AnsweredRequest: of the environ, else of the process."""
        return self._variable_of_request(name) or os.environ.get(name)

    def _variable_of_request(self, name: str) -> str | None:
        """Return the variable `name` of the environ, which the app may have changed."""
        value = self._environ.get(name)
        return None if value is None else str(value)
