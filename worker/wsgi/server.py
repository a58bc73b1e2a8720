"""Owns the WSGI server of a worker: what it is made of, its start, its drain, its end.

Runs in WSGI workers. The event loop (uvloop) does everything that is slow about clients, in the main thread; the app
runs in threads of its own, never there, which serve quick clients by themselves.
"""

import asyncio
import logging
import signal
import ssl
import sys
from collections.abc import Callable
from typing import Any

import uvloop
from fastlb.lb.inbox import ConnectionInbox, HandedSocket
from fastlb.lb.page import WorkerStatus
from fastlb.worker.http.response import ServerLines
from fastlb.worker.orphan_guard import end_process_group, give_time_to_finish
from fastlb.worker.wsgi.connection import WsgiConnection
from fastlb.worker.wsgi.crew import Crew
from fastlb.worker.wsgi.exchange import WsgiService
from fastlb.worker.wsgi.request_environ import EnvironMaker

from ..access_log.route import make_access_log
from ..channel_server import ChannelServer
from ..fork_guard import ForkGuard
from ..heartbeat import Heartbeat
from ..lifecycle_channel import LifecycleChannel
from ..local_addresses import LocalAddress, LocalAddresses
from ..quiet_drain import ORPHAN_QUIET_TIME, QuietDrain
from ..timeout_wheel import TimeoutWheel
from ..tls import create_ssl_context
from ..transport.adopter import Adopter
from ..wire import Serving, WorkerConfig, first_listener_id
from .environ import WsgiApp, address_environ, worker_environ
from .trusted_proxies import TrustedProxies

SERVER_NAME = "fastlb"
# Of our addresses that clients have come to, how many are remembered: few, unless every address is ours (AnyIP).
REMEMBERED_ADDRESSES = 256

logger = logging.getLogger("fastlb.worker")


def serve_wsgi(app: WsgiApp, config: WorkerConfig, lifecycle: LifecycleChannel, guard: ForkGuard) -> int:
    """Serve `app` until the worker is drained or stopped; return its exit code. In the main thread."""
    ssl_context = create_ssl_context(config)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(app, config, lifecycle, ssl_context, guard))


class WsgiServer:
    """One worker's server.

    Args:
        service: what its connections share.
        wheel: holds their deadlines.
        config: the worker's settings.
        inbox: where connections come from.
        ssl_context: None: plain.
    """

    def __init__(
        self,
        service: WsgiService,
        wheel: TimeoutWheel,
        config: WorkerConfig,
        inbox: ConnectionInbox,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._service = service
        self._config = config
        self._wheel = wheel
        self._base = worker_environ(config, sys.stderr)
        self._makers: dict[LocalAddress | None, EnvironMaker] = {}
        self._local_addresses = LocalAddresses(config.listeners)
        self._secure = ssl_context is not None
        self._proxies = TrustedProxies(config.forwarded_allow_ips) if config.proxy_headers else None
        self._ended = asyncio.Event()
        self._stopping = False
        self._drain = QuietDrain(service.loop, inbox, self, self.stop)
        inbox.bound_busy(config.threads)
        adopter = Adopter(service.loop, self._create_connection, ssl_context)
        channel_class = ChannelServer if self._secure else LeftChannel
        self._channel = channel_class(service.loop, inbox, adopter, config.handover_timeout, self._on_channel_end)
        if isinstance(self._channel, LeftChannel):
            self._channel.leave_to(service.threads, self._create_direct)
        service.adopt = adopter.go_on
        self._heartbeat = Heartbeat(service.loop, inbox, self._look_at_threads)
        self.orphaned = False

    async def start(self) -> None:
        """Take connections, be alive, listen to signals."""
        self._service.threads.start()
        self._service.on_less = self._look
        for number in (signal.SIGTERM, signal.SIGINT):
            self._service.loop.add_signal_handler(number, self._on_signal)
        await self._channel.start_serving()
        self._heartbeat.start()

    async def wait_ended(self) -> None:
        """Return when stop() has been asked for and all running requests are answered."""
        await self._ended.wait()
        self._heartbeat.stop()
        self._wheel.stop()
        self._service.threads.stop()
        self._service.body_writer.stop()

    def stop(self) -> None:
        """Finish the running requests, close all other connections, end. The second time: end at once."""
        self._channel.close()
        self._service.threads.stop_taking()
        self.announce_end()
        if self._stopping:
            self._ended.set()
        self._stopping = True
        for connection in list(self._service.connections):
            connection.shutdown()
        self._look()

    def announce_end(self) -> None:
        """Drain: let every response from now on say that its connection ends."""
        self._service.draining = True

    def end_unused(self) -> None:
        """Drain: close the connections that never began a request."""
        for connection in list(self._service.connections):
            if connection.is_unused():
                connection.shutdown()

    def shorten_keep_alive(self, seconds: float) -> None:
        """Drain: keep connections that become idle from now on for no longer than this."""
        self._service.keep_alive_timeout = min(self._service.keep_alive_timeout, seconds)

    def end_idle(self) -> None:
        """Drain: close kept connections on which nothing of another request has arrived."""
        for connection in list(self._service.connections):
            if connection.is_idle():
                connection.shutdown()

    def is_empty(self) -> bool:
        """Drain: say whether no connection is open and no request runs."""
        service = self._service
        return not (service.connections or service.unfinished or service.threads.has_unbegun())

    def end_with_app(self) -> None:
        """The whole app ends: the drain does not wait for clients that ask nothing."""
        self._drain.end_with_app()

    def serve_uncounted(self, fd: int, port: int) -> None:
        """Serve a health check, owning `fd`; `port`: of the client, 0 for a unix socket."""
        self._channel.serve_uncounted(fd, port, first_listener_id(self._config))

    def orphan(self) -> None:
        """The supervisor is gone: drain, but not for longer than a moment, then end with every child."""
        self.orphaned = True
        self._drain.hurry(min(ORPHAN_QUIET_TIME, self._config.timeout_keep_alive))

    def _on_channel_end(self) -> None:
        self._drain.begin(self._config.timeout_keep_alive)

    def _look_at_threads(self) -> int:
        self._service.threads.leave_long()
        return self._service.threads.oldest_started_ns()

    def _on_signal(self) -> None:
        self.stop()

    def _look(self) -> None:
        if self._stopping and self.is_empty():
            self._ended.set()

    def _create_connection(self, handed: HandedSocket) -> Any:
        return WsgiConnection(self._service, handed, self._maker_of(self._local_addresses.of(handed)))

    def _create_direct(self, handed: HandedSocket) -> Any:
        connection = self._create_connection(handed)
        connection.serve_directly()
        return connection

    def _maker_of(self, address: LocalAddress | None) -> EnvironMaker:
        maker = self._makers.get(address)
        if maker is None:
            if len(self._makers) >= REMEMBERED_ADDRESSES:
                self._makers.clear()
            environ = address_environ(self._base, address, self._secure)
            maker = self._makers[address] = EnvironMaker(environ, self._proxies)
        return maker


class LeftChannel(ChannelServer):
    """A channel that is left to the threads that run the app, until its end is in sight: they may all be in the app."""

    def leave_to(self, threads: Crew, create: Callable[[HandedSocket], Any]) -> None:
        """Let `threads` take connections, and serve what `create` makes of them."""
        self._threads = threads
        # Those threads may be the ones that make room.
        self._hear_of_room = lambda: self._loop.call_soon_threadsafe(self._on_room)
        threads.take_from(self._inbox, create)

    async def start_serving(self) -> None:
        """Watch the end of the channel only."""
        self._watch_end()

    def _on_end_in_sight(self) -> None:
        self._threads.stop_taking()
        self._inbox.on_room = self._hear_of_room
        super()._on_end_in_sight()


async def _serve(
    app: WsgiApp,
    config: WorkerConfig,
    lifecycle: LifecycleChannel,
    ssl_context: ssl.SSLContext | None,
    guard: ForkGuard,
) -> int:
    loop = asyncio.get_running_loop()
    status = WorkerStatus(config.page_fd, config.wakeup_fd)
    inbox = ConnectionInbox(config.channel_fd, status)
    guard.cover(loop, inbox)
    wheel = TimeoutWheel(loop)
    lines = ServerLines(SERVER_NAME if config.server_header else "")
    service = WsgiService(app, loop, wheel, config, lines, status, make_access_log(config))
    service.threads = Crew(service, config.threads)
    server = WsgiServer(service, wheel, config, inbox, ssl_context)
    await server.start()
    give_time_to_finish(config.kill_timeout)
    lifecycle.watch(
        loop, on_app_ends=server.end_with_app, on_end=server.orphan, on_check=server.serve_uncounted
    )
    lifecycle.report(Serving("wsgi", capacity=config.threads))
    await server.wait_ended()
    if server.orphaned:
        end_process_group()
    return 0
