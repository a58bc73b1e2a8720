"""Owns what a handed-over connection changes in uvicorn's protocol classes. Runs in ASGI workers, on the
loop's thread.

The classes stay uvicorn's own: parsing, ASGI messages and flow control are theirs. Here: addresses that are known
from the message instead of being asked of the kernel, and websockets, which are imported at the first upgrade and
whose tasks are no requests. Never asks the kernel about a connection.
"""

import asyncio
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from fastlb.lb.inbox import HandedSocket
from fastlb.lb.page import WorkerStatus
from fastlb.worker.asgi.corked_transport import CorkedTransport
from uvicorn import Config
from uvicorn.config import WS_PROTOCOLS
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from ..local_addresses import LocalAddress
from ..timeout_wheel import TimeoutWheel
from .bounded_sections import BoundedHttpTools
from .deadlines import Deadlines

CONNECTION_CLOSE = (b"connection", b"close")


class HandedConnection:
    """Mixed in before a uvicorn protocol class: a connection that knows its addresses."""

    # of uvicorn's protocol classes
    connections: set[Any]
    loop: asyncio.AbstractEventLoop
    transport: Any
    cycle: Any
    timeout_keep_alive: float
    timeout_keep_alive_task: asyncio.TimerHandle | None
    shutdown: Callable[[], None]
    # of Deadlines
    has_part_of_head: Callable[[], bool]

    def take_addresses(self, handed: HandedSocket, server: LocalAddress | None, scheme: str) -> None:
        """Learn what the dispatcher's message told of the connection, before connection_made()."""
        self.handed = handed
        self.client = handed.peer_address()
        self.server = server
        self.scheme = scheme

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Do what uvicorn's does, without asking the kernel for addresses through two socket objects."""
        self.connections.add(self)
        self.transport = CorkedTransport(transport, self.loop)
        self.flow = FlowControl(transport)
        # Idle until a request begins: an ASGI worker is busy with requests, not with connections.
        self.handed.release()

    def connection_lost(self, exc: Exception | None) -> None:
        """End our direction before the descriptor is closed: everything that was written is in the kernel by now."""
        self._end_sending()
        super().connection_lost(exc)  # type: ignore[misc]

    def handle_websocket_upgrade(self, *arguments: Any) -> None:
        """Leave the connection to a websocket protocol, with the transport as it is but for how it ends."""
        self.transport = self.transport.inner
        super().handle_websocket_upgrade(*arguments)  # type: ignore[misc]
        protocol = self.transport.get_protocol()
        lost = protocol.connection_lost

        def connection_lost(exc: Exception | None) -> None:
            self._end_sending()
            lost(exc)

        protocol.connection_lost = connection_lost

    def _end_sending(self) -> None:
        # TLS has an end of its own, which the client has seen.
        if self.scheme == "http":
            self.handed.end_sending()

    def is_unused(self) -> bool:
        """Say whether the client has not even begun a request, as far as anybody can know."""
        return self.cycle is None and not self.has_part_of_head() and not self.handed.has_unread()

    def is_idle(self) -> bool:
        """Say whether the client has been answered and has not even begun another request, as far as we can know."""
        return self.timeout_keep_alive_task is not None and not self.has_part_of_head() and not self.handed.has_unread()

    def announce_end(self) -> None:
        """Let the response that is being prepared say that the connection ends."""
        if self.cycle is not None and not self.cycle.response_started:
            # `keep_alive = False` would do for httptools; h11's would close without having said so.
            self.cycle.default_headers = [*self.cycle.default_headers, CONNECTION_CLOSE]


def protocol_class(http: str, wheel: TimeoutWheel, stall_timeout: float) -> type[Any]:
    """Return uvicorn's protocol class for `http` ("auto", "httptools", "h11"), for handed connections.

    `wheel` watches their deadlines; `stall_timeout`, seconds, is how long one waits for its client.
    """
    shared = {"wheel": wheel, "stall_timeout": stall_timeout}
    if http == "h11":
        from uvicorn.protocols.http.h11_impl import H11Protocol

        from .bounded_h11 import BoundedH11

        return type("HandedH11Protocol", (BoundedH11, Deadlines, HandedConnection, H11Protocol), shared)
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    parts = (BoundedHttpTools, Deadlines, HandedConnection, HttpToolsProtocol)
    return type("HandedHttpToolsProtocol", parts, shared)


class WebSocketTasks(set["asyncio.Task[Any]"]):
    """The tasks of open websockets: each counts as a request begun, but neither as busy nor as old."""

    def __init__(self, status: WorkerStatus) -> None:
        super().__init__()
        self._status = status

    def add(self, task: "asyncio.Task[Any]") -> None:
        """Count and keep `task`."""
        super().add(task)
        self._status.record_request_begun()


class WebSocketState:
    """What uvicorn's websocket protocols see as the server's state."""

    def __init__(self, state: ServerState, tasks: WebSocketTasks) -> None:
        self._state = state
        self.connections = state.connections
        self.tasks = tasks

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The server's, without `connection: close`, which would spoil a `connection: upgrade`."""
        return [header for header in self._state.default_headers if header != CONNECTION_CLOSE]


def websocket_factory(library: str, state: WebSocketState) -> Callable[..., asyncio.Protocol] | None:
    """Return what uvicorn calls as its websocket protocol class; None for `library` "none".

    The library is imported at the first call: most apps have no websockets.
    """
    path = WS_PROTOCOLS[library]
    if path is None:
        return None

    def create(**arguments: Any) -> asyncio.Protocol:
        module, _, name = path.partition(":")
        protocol: Callable[..., asyncio.Protocol] = getattr(importlib.import_module(module), name)
        return protocol(**{**arguments, "server_state": state})

    return create


def shared_arguments(config: Config, state: ServerState, app_state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that every protocol of a server is made with."""
    return {"config": config, "server_state": state, "app_state": app_state}
