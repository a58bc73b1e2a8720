"""Owns what all connections of a WSGI worker share: the app, its threads, settings, deadlines, counters.

Runs in a worker process. Changed by the event loop's thread only; the app's threads read it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Protocol

from ..access_log.route import make_access_log
from ..timeout_wheel import TimeoutWheel
from ..wire import WorkerConfig
from .app_threads import AppThreads
from .body_spool import BodyWriter
from .request_reader import RequestRules
from .trusted_proxies import TrustedProxies

if TYPE_CHECKING:
    from .connection import Connection

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

SERVER_NAME = "fastlb"
# A new connection without a whole request counts as busy for so long, unless another one was as slow a moment ago.
GRACE = 0.002
IMPATIENCE = 1.0
# After a refusal: how long what the client still sends is thrown away, so that it can read why.
LINGER = 2.0


class Counters(Protocol):
    """The part of the status page that is about requests."""

    def record_busy(self, change: int) -> None:
        """Add to the connections that occupy capacity."""

    def record_request_begun(self) -> None:
        """Count a request."""

    def record_request_done(self, latency_ns: int, failed: bool) -> None:
        """Count its end."""


class Service:
    """One per worker.

    Attributes:
        app: the WSGI app.
        stall_timeout: seconds a client has for a whole head, a part of a body, or a part of a response.
        impatient_until: loop time up to which no new connection is waited for: a slow one was seen.
        draining: every response says that its connection ends.
        unfinished: requests that the app has not done with.
        connections: those that are open.
        access_log: takes the line of a request that the app is done with; None: there is no such log.
    """

    def __init__(
        self, app: WsgiApp, config: WorkerConfig, loop: asyncio.AbstractEventLoop, counters: Counters
    ) -> None:
        """Prepare; the threads are not started."""
        self.app = app
        self.loop = loop
        self.counters = counters
        self.threads = AppThreads(loop, config.threads)
        self.body_writer = BodyWriter(loop)
        self.wheel = TimeoutWheel(loop)
        proxies = TrustedProxies(config.forwarded_allow_ips) if config.proxy_headers else None
        self.rules = RequestRules(config.limit_request_head, config.limit_request_body, proxies, self.body_writer)
        self.keep_alive_timeout = config.timeout_keep_alive
        self.secure = bool(config.ssl_certfile)
        self.access_log = make_access_log(config)
        self.stall_timeout = config.stall_timeout
        self.impatient_until = 0.0
        self.draining = False
        self.unfinished = 0
        self.connections: set[Connection] = set()
        self.on_less: Callable[[], object] = lambda: None
        self._server_line = f"\r\nServer: {SERVER_NAME}" if config.server_header else ""
        self._date_header = config.date_header
        self._date_second = 0
        self._own_lines = self._server_line

    def own_lines(self, has_server: bool = False, has_date: bool = False) -> str:
        """Return our Server and Date headers, without those that the app has sent itself. Any thread."""
        if has_server or has_date:
            return ("" if has_server else self._server_line) + ("" if has_date else self._date_line())
        second = int(time.monotonic())
        if second != self._date_second:
            self._own_lines = self._server_line + self._date_line()
            self._date_second = second
        return self._own_lines

    def _date_line(self) -> str:
        return f"\r\nDate: {formatdate(usegmt=True)}" if self._date_header else ""
