"""Owns serving the metrics of one app by its own supervisor (`metrics_bind`).

Runs in the supervisor process, off its loop's way: a thread makes the text.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from ..control.protocol import AppMetrics
from ..errors import FastlbError
from ..output.event_log import EventLog
from ..settings.app_config import AppConfig
from ..sockets.accept_queue import listen_overflows
from .exposition import metrics_text
from .server import MetricsServer, listening


class AppMetricsServer:
    """Serves the metrics of one app, if its settings say where.

    Args:
        config: the settings.
        metrics: returns all that the app counts.
        log: is told where, and if it cannot be.
    """

    def __init__(self, config: AppConfig, metrics: Callable[[], Awaitable[AppMetrics]], log: EventLog) -> None:
        self._bind = config.metrics_bind
        self._metrics = metrics
        self._log = log
        self._server: MetricsServer | None = None
        self._held = ExitStack()

    async def start(self) -> None:
        """Begin to serve.

        Raises:
            FastlbError: it cannot be listened there.
        """
        if not self._bind:
            return
        try:
            sock, address = self._held.enter_context(listening(self._bind))
        except FastlbError as error:
            error.message = error.message.replace("--bind", "--metrics-bind")
            raise
        self._server = MetricsServer(self._text)
        await self._server.start(sock)
        self._log.info("metrics_served", address=address)

    async def start_anyway(self) -> None:
        """Begin to serve; the log is told if that cannot be, as the app is served all the same."""
        try:
            await self.start()
        except FastlbError as error:
            self._log.error("metrics_not_served", reason=error.message)

    def close(self) -> None:
        """Let the address go. May be called twice; `start` may follow."""
        if self._server:
            self._server.close()
        self._server = None
        self._held.close()

    async def _text(self) -> bytes:
        metrics = await self._metrics()
        return await asyncio.to_thread(lambda: metrics_text([metrics], listen_overflows()))
