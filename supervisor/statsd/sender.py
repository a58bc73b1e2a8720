"""Owns telling a StatsD server what the app does, once a second (`statsd_host`). Runs in the supervisor process.

It never waits: what the socket does not take at once is lost, as everything is that nobody listens to.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping

from ..control.protocol import AppMetrics
from ..output.event_log import EventLog
from ..rates.meter import RateMeter
from ..responses.counts import grown
from ..settings.app_config import AppConfig
from ..settings.statsd_host import StatsdAddress, parse_statsd_host
from .lines import datagrams, lines_of

INTERVAL = 1.0
RESOLVE_INTERVAL = 60.0  # a server may move, or have no address yet


class StatsdSender:
    """Sends what one app does, if its settings say where. Make it on the event loop.

    Args:
        config: the settings.
        metrics: returns all that the app counts.
        log: is told of a name that has no address.
    """

    def __init__(self, config: AppConfig, metrics: Callable[[], AppMetrics], log: EventLog) -> None:
        self._address = parse_statsd_host(config.statsd_host) if config.statsd_host else None
        self._prefix = config.statsd_prefix
        self._metrics = metrics
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._meter = RateMeter()
        self._events: Mapping[str, int] = {}
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to send."""
        if self._address:
            self._task = self._loop.create_task(self._send_on(self._address))

    def give_over(self) -> None:
        """Send what was counted since the last time, then no more: another supervisor does. `begin` may follow."""
        if self._task:
            self._send()
        self.close()

    def close(self) -> None:
        """Send no more. May be called twice; `begin` may follow."""
        if self._task:
            self._task.cancel()
        self._task = None
        self._disconnect()

    async def _send_on(self, address: StatsdAddress) -> None:
        resolve_at = 0.0
        while True:
            if self._loop.time() >= resolve_at:
                resolve_at = self._loop.time() + RESOLVE_INTERVAL
                await self._connect(address)
            self._send()
            await asyncio.sleep(INTERVAL)

    async def _connect(self, address: StatsdAddress) -> None:
        try:
            found = await self._loop.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
            family, _, _, _, place = found[0]
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            with contextlib.ExitStack() as on_failure:
                on_failure.callback(sock.close)
                sock.connect(place)
                on_failure.pop_all()
        except OSError as error:
            if self._socket is None:
                self._log.warning("statsd_unreachable", address=f"{address.host}:{address.port}", reason=error)
            return
        self._disconnect()
        self._socket = sock

    def _disconnect(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None

    def _send(self) -> None:
        metrics = self._metrics()
        rates = self._meter.look(metrics, self._loop.time())
        events, self._events = grown(metrics.events.levels, self._events), metrics.events.levels
        if rates is None or self._socket is None:
            return
        online = sum(worker.status == "online" for worker in metrics.workers)
        for datagram in datagrams(lines_of(rates, online, self._prefix, events)):
            with contextlib.suppress(OSError):  # nobody listens, or the buffer is full: it is lost
                self._socket.send(datagram)
