"""Owns the ASGI server of a worker: uvicorn's, fed by the connection channel. Runs in ASGI workers.

Lifespan, shutdown and everything about HTTP are uvicorn's. Here: where connections come from, the drain, the
status page, signals and the wait between two ticks, which is not polled.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from fastlb.lb.inbox import ConnectionInbox, HandedSocket
from fastlb.lb.page import WorkerStatus
from fastlb.worker.access_log.access_log import AccessLog
from fastlb.worker.asgi.logged_app import LoggedApp
from fastlb.worker.asgi.request_tasks import RequestTasks
from fastlb.worker.orphan_guard import end_process_group, give_time_to_finish
from fastlb.worker.transport.socket_transport import SocketPoller

from ..access_log.route import make_access_log
from ..channel_server import ChannelServer
from ..fork_guard import ForkGuard
from ..heartbeat import Heartbeat
from ..lifecycle_channel import LifecycleChannel
from ..local_addresses import LocalAddresses
from ..quiet_drain import ORPHAN_QUIET_TIME, QuietDrain
from ..standard_descriptors import fill_standard_descriptors
from ..timeout_wheel import TimeoutWheel
from ..tls import create_ssl_context
from ..transport.adopter import Adopter
from ..wire import EXIT_STARTUP_FAILED, Serving, StartupFailed, WorkerConfig, first_listener_id
from ..worker_log import enable_loggers
from .counted_app import counted
from .protocol import (
    CONNECTION_CLOSE,
    HandedConnection,
    WebSocketState,
    WebSocketTasks,
    protocol_class,
    shared_arguments,
    websocket_factory,
)
from .proxies import behind_proxies
from .uvicorn_log import AppErrorCounter, StartupErrors

if TYPE_CHECKING:
    from .own_http import OwnHttp

DATE_INTERVAL = 1.0
OWN = ("auto", "fastlb")  # values of the setting `http`


class FastlbServer(uvicorn.Server):
    """uvicorn's server whose connections are taken from the dispatcher.

    Args:
        config: uvicorn's settings, with the app itself.
        worker: ours, with the descriptors.
        lifecycle: where the supervisor is told that we serve, and where its end shows.
        guard: covers what a child of the app must not inherit.
        log: takes the lines that uvicorn writes itself; None: there is no access log.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        worker: WorkerConfig,
        lifecycle: LifecycleChannel,
        guard: ForkGuard,
        log: AccessLog | None,
    ) -> None:
        super().__init__(config)
        self._access_log = log
        self._worker = worker
        self._lifecycle = lifecycle
        self.status = WorkerStatus(worker.page_fd, worker.wakeup_fd)
        self._inbox = ConnectionInbox(worker.channel_fd, self.status)
        self._guard = guard
        guard.cover(asyncio.get_running_loop(), self._inbox)
        websocket_tasks = WebSocketTasks(self.status)
        self._tasks = RequestTasks(self.status, websocket_tasks)
        self.server_state.tasks = self._tasks  # type: ignore[assignment]
        websocket_state = WebSocketState(self.server_state, websocket_tasks)
        config.ws = websocket_factory(worker.ws, websocket_state)  # type: ignore[assignment]
        self._websocket_tasks = websocket_tasks
        self._own_http: OwnHttp | None = None
        self._wheel = TimeoutWheel(asyncio.get_running_loop())
        config.http = protocol_class(worker.http, self._wheel, worker.stall_timeout)
        if worker.http not in OWN:
            config.app = counted(config.app, self.status)  # type: ignore[arg-type]
        self._ssl_context = create_ssl_context(worker)
        self._local_addresses = LocalAddresses(worker.listeners)
        self._stopping = asyncio.Event()
        self._drain: QuietDrain | None = None
        self.orphaned = False

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Start the app, then take connections and say so."""
        await super().startup(sockets=[])
        enable_loggers()
        fill_standard_descriptors()
        loop, inbox = asyncio.get_running_loop(), self._inbox
        drain = self._drain = QuietDrain(loop, inbox, self, self.stop)
        if self._worker.http in OWN:
            self._serve_http_ourselves()
        oldest = self._own_http.oldest_began_ns if self._own_http else self._tasks.oldest_began_ns
        self._heartbeat = Heartbeat(loop, inbox, oldest)
        self._protocol_arguments = shared_arguments(self.config, self.server_state, self.lifespan.state)
        keep_alive = self.config.timeout_keep_alive
        adopter = self._create_adopter(loop)
        patience = self._worker.handover_timeout
        channel = ChannelServer(loop, inbox, adopter, patience, lambda: drain.begin(keep_alive))
        self.servers = [channel]  # type: ignore[list-item]
        await channel.start_serving()
        self._heartbeat.start()
        give_time_to_finish(self._worker.kill_timeout)
        self._lifecycle.watch(
            loop,
            on_app_ends=drain.end_with_app,
            on_end=lambda: self._on_orphaned(drain),
            on_check=partial(channel.serve_uncounted, listener_id=first_listener_id(self._worker)),
        )
        self._lifecycle.report(Serving("asgi"))

    def _serve_http_ourselves(self) -> None:
        from .own_http import OwnHttp

        self._own_http = OwnHttp(self, self._worker, self.status, self._websocket_tasks, self._access_log)
        self._tasks = self.server_state.tasks = self._own_http.service  # type: ignore[assignment]

    def stop(self) -> None:
        """Shut down: finish the running requests, then the app."""
        self.should_exit = True
        self._stopping.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Shut down at the first signal; end what runs at the next, or when there was time to drain."""
        if self.should_exit or (self._drain and self._drain.begun):
            for task in list(self._tasks):
                task.cancel()
        super().handle_exit(sig, frame)
        self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGTERM and SIGINT in the loop, and end by returning: stopped on request is exit code 0."""
        loop = asyncio.get_running_loop()
        handled = (signal.SIGTERM, signal.SIGINT)
        for number in handled:
            loop.add_signal_handler(number, self.handle_exit, number, None)
            # In the place of the loop's own, which does as little: libraries look here for the server.
            signal.signal(number, self.on_signal_seen)
            signal.siginterrupt(number, False)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    def on_signal_seen(self, sig: int, frame: FrameType | None) -> None:
        """Do nothing: the loop calls handle_exit."""

    async def main_loop(self) -> None:
        """Renew the default headers once a second until it is time to shut down.

        `should_exit` alone does not end it: during the drain it only tells streams that they are to end.
        """
        while not self._stopping.is_set():
            await self.on_tick(0)
            if self._own_http:
                self._own_http.tell_time(self.server_state.default_headers)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DATE_INTERVAL):
                    await self._stopping.wait()

    def announce_end(self) -> None:
        """Drain: let every response from now on say that its connection ends."""
        self.config.encoded_headers = [*self.config.encoded_headers, CONNECTION_CLOSE]
        self.server_state.default_headers = [*self.server_state.default_headers, CONNECTION_CLOSE]
        if self._own_http:
            self._own_http.announce_end()
        for connection in self.server_state.connections:
            if isinstance(connection, HandedConnection):
                connection.announce_end()

    def end_unused(self) -> None:
        """Drain: close connections without a request, tell websockets and streams that the server restarts.

        Websockets by a close with 1012; streams, as those of sse-starlette, by what they look at: `should_exit`, or a
        `handle_exit` that they have put in the place of uvicorn's.
        """
        super().handle_exit(signal.SIGTERM, None)
        for connection in list(self.server_state.connections):
            if is_unused(connection):
                connection.shutdown()

    def shorten_keep_alive(self, seconds: float) -> None:
        """Drain: keep connections that become idle from now on for no longer than this."""
        if self._own_http:
            self._own_http.shorten_keep_alive(seconds)
        for connection in self.server_state.connections:
            if isinstance(connection, HandedConnection):
                connection.timeout_keep_alive = min(connection.timeout_keep_alive, seconds)

    def end_idle(self) -> None:
        """Drain: close kept connections on which nothing of another request has arrived."""
        for connection in list(self.server_state.connections):
            if is_idle(connection):
                connection.shutdown()

    def is_empty(self) -> bool:
        """Drain: say whether no connection is being served."""
        return not self.server_state.connections

    def _create_protocol(self, handed: HandedSocket) -> asyncio.BaseProtocol:
        if self._own_http:
            return self._own_http.create_protocol(handed)  # type: ignore[no-any-return]
        protocol: Any = self.config.http_protocol_class(**self._protocol_arguments)
        if self._access_log is not None:
            protocol.access_logger = self._access_log
            protocol.access_log = protocol.access_log and not self._access_log.needs_end  # then LoggedApp records
        protocol.take_addresses(handed, self._local_addresses.of(handed), "https" if self._ssl_context else "http")
        return protocol  # type: ignore[no-any-return]

    def _create_adopter(self, loop: asyncio.AbstractEventLoop) -> Adopter | SocketPoller:
        adopter = Adopter(loop, self._create_protocol, self._ssl_context)
        if self._own_http is None or self._ssl_context is not None:
            return adopter
        poller = SocketPoller(loop, self._own_http.create_protocol)
        self._own_http.service.go_on = adopter.go_on
        self._guard.cover_epoll(poller.fileno())
        return poller

    def _on_orphaned(self, drain: QuietDrain) -> None:
        self.orphaned = True
        drain.hurry(min(ORPHAN_QUIET_TIME, self.config.timeout_keep_alive))


def is_unused(connection: Any) -> bool:
    """Say whether `connection` has no request that is to be finished; a websocket has none."""
    return not hasattr(connection, "is_unused") or connection.is_unused()


def is_idle(connection: Any) -> bool:
    """Say whether `connection` is kept for another request."""
    return hasattr(connection, "is_idle") and connection.is_idle()


def uvicorn_config(app: object, worker: WorkerConfig, log: AccessLog | None) -> uvicorn.Config:
    """Return uvicorn's settings for the loaded `app`, whose requests are in `log`, if there is one."""
    served: Any = behind_proxies(app, worker)
    if log is not None and log.needs_end:
        served = LoggedApp(served, log)
    return uvicorn.Config(
        served,
        interface="asgi3",
        lifespan=worker.lifespan,  # type: ignore[arg-type]
        log_config=None,
        access_log=worker.access_log,
        proxy_headers=False,  # behind_proxies() has done it
        root_path=worker.root_path,
        limit_concurrency=worker.limit_concurrency or None,
        ws_max_size=worker.ws_max_size,
        ws_ping_interval=worker.ws_ping_interval or None,
        ws_ping_timeout=worker.ws_ping_timeout or None,
        timeout_keep_alive=worker.timeout_keep_alive,  # type: ignore[arg-type]
        h11_max_incomplete_event_size=worker.limit_request_head,
        server_header=worker.server_header,
        date_header=worker.date_header,
    )


def count_app_errors(status: WorkerStatus) -> None:
    """Count failing requests, also when errors themselves are not to be logged."""
    logger = logging.getLogger("uvicorn.error")
    level = logger.getEffectiveLevel()
    logger.setLevel(min(level, logging.ERROR))
    logger.addFilter(AppErrorCounter(status, level))


def serve_asgi(
    app: object, config: WorkerConfig, lifecycle: LifecycleChannel, runner: asyncio.Runner, guard: ForkGuard
) -> int:
    """Serve `app` on `runner`'s loop until it is drained or stopped; return the exit code of the worker."""
    errors = StartupErrors()
    with errors.captured():
        return runner.run(_serve(app, config, lifecycle, errors, guard))


async def _serve(
    app: object, config: WorkerConfig, lifecycle: LifecycleChannel, errors: StartupErrors, guard: ForkGuard
) -> int:
    log = make_access_log(config)
    server = FastlbServer(uvicorn_config(app, config, log), config, lifecycle, guard, log)
    count_app_errors(server.status)
    try:
        await server.serve()
    except SystemExit:
        # Only uvicorn's answer to a failed lifespan start-up; an exit of the app does not come through here.
        if server.started:
            raise
        lifecycle.report(StartupFailed("the app failed in its lifespan start-up", errors.text()))
        return EXIT_STARTUP_FAILED
    if server.orphaned:
        end_process_group()
    return 0
