"""Owns the serving of HTTP by the engine in worker/http, in the place of uvicorn's protocol classes.

Runs in ASGI workers. Lifespan, websockets and shutdown stay uvicorn's.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import uvicorn
from fastlb.lb.inbox import HandedSocket
from fastlb.lb.page import WorkerStatus
from fastlb.worker.access_log.access_log import AccessLog
from fastlb.worker.asgi.connection import AsgiConnection
from fastlb.worker.asgi.exchange import AsgiService
from fastlb.worker.http.response import ServerLines

from ..local_addresses import LocalAddresses
from ..timeout_wheel import TimeoutWheel
from ..wire import WorkerConfig

if TYPE_CHECKING:
    from .protocol import WebSocketTasks

SERVER_NAME = "fastlb"


class OwnHttp:
    """The engine's service for `server`, whose lifespan has started."""

    def __init__(
        self,
        server: uvicorn.Server,
        worker: WorkerConfig,
        status: WorkerStatus,
        websocket_tasks: "WebSocketTasks",
        access_log: AccessLog | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        lines = ServerLines(SERVER_NAME if worker.server_header else "")
        log = access_log if access_log is not None and not access_log.needs_end else None  # else LoggedApp records
        self.service = AsgiService(loop, TimeoutWheel(loop), worker, lines, server, status, websocket_tasks, log)
        self._lines = lines
        self._local_addresses = LocalAddresses(worker.listeners)

    def create_protocol(self, handed: HandedSocket) -> Any:
        """Return what serves a connection."""
        return AsgiConnection(self.service, handed, self._local_addresses.of(handed))

    def announce_end(self) -> None:
        """Let every response from now on say that its connection ends."""
        self.service.draining = True

    def shorten_keep_alive(self, seconds: float) -> None:
        """Keep connections that become idle from now on for no longer than this."""
        self.service.keep_alive_timeout = min(self.service.keep_alive_timeout, seconds)

    def tell_time(self, default_headers: list[tuple[bytes, bytes]]) -> None:
        """Learn the Date header from uvicorn's default headers."""
        self._lines.set_date(dict(default_headers).get(b"date", b"").decode("ascii"))

    @property
    def oldest_began_ns(self) -> Callable[[], int]:
        """Tells when the oldest running request began."""
        return self.service.oldest_began_ns
