"""Owns the step from a taken connection to a transport of the event loop, with the request that the client has sent
already begun in the loop's next turn. Runs in workers, on the loop's thread.

No Task: `connect_accepted_socket` waits for exactly one future, so its coroutine is driven by hand, which
costs a third less for each connection. On uvloop there is no socket object either. Errors end here, counted,
never at the loop.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from fastlb.lb.inbox import HandedSocket
from fastlb.worker.transport.first_read import Beginning, FirstRead

ProtocolFactory = Callable[[HandedSocket], asyncio.BaseProtocol]

logger = logging.getLogger("fastlb.worker")


class CountedSocket(socket.socket):
    """A real socket, which asyncio's own loop needs; counts its close and knows the peer from the message."""

    def __init__(self, handed: HandedSocket) -> None:
        # Its kind is asked of the kernel, as the peer may be one that a proxy has named.
        super().__init__(fileno=handed.fileno())
        self._handed = handed

    def close(self) -> None:
        """Close the descriptor and count the connection as closed."""
        super().close()
        self._handed.close()

    def abandon(self) -> None:
        """Close it before an event loop has adopted it: for a socket object that is no different."""
        self.close()

    def getpeername(self) -> Any:
        """Return the client's address as the dispatcher told it."""
        return self._handed.peer_address() or ""


class _Driver:
    """Drives one coroutine to its end from callbacks of the futures that it waits for."""

    __slots__ = ("_coroutine", "_loop")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> None:
        self._coroutine = coroutine
        self._loop = loop

    def step(self) -> bool:
        """Run the coroutine to its next wait or its end; False when it failed."""
        try:
            future = self._coroutine.send(None)
        except StopIteration:
            return True
        except Exception as error:  # noqa: BLE001 - failed handshakes, whatever a client's bytes provoke
            logger.debug("connection failed: %r", error)
            return False
        if getattr(future, "_asyncio_future_blocking", None):
            future._asyncio_future_blocking = False
            future.add_done_callback(self._on_done)
        else:
            self._loop.create_task(self._coroutine)
        return True

    def _on_done(self, _future: object) -> None:
        self.step()


class Adopter:
    """Makes transports of taken connections.

    Args:
        loop: the event loop; whether it is uvloop's decides how.
        factory: makes the protocol of a connection; called at once, with the connection.
        ssl_context: the workers speak TLS with it; None: plain.
    Attributes:
        begins_at_once: what adopt() was given has begun when it returns.
    """

    begins_at_once = False

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        factory: ProtocolFactory,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._loop = loop
        self._factory = factory
        self._ssl_context = ssl_context
        self._needs_socket = not type(loop).__module__.startswith("uvloop")

    def adopt(self, handed: HandedSocket) -> None:
        """Give `handed` to the loop, which begins with it before it looks for anything new.

        Whatever goes wrong, the connection ends up closed and counted.
        """
        owner = self._owner_of(handed)
        connect = self._loop.connect_accepted_socket(
            lambda: self._begin(handed), owner, ssl=self._ssl_context
        )
        if not _Driver(connect, self._loop).step():
            # No transport was made, so the descriptor is still ours.
            owner.abandon()

    def go_on(self, handed: HandedSocket, protocol: asyncio.BaseProtocol) -> None:
        """Give `handed`, plain, to the loop, and its transport to `protocol`, which knows the client already."""
        owner = self._owner_of(handed)
        connect = self._loop.connect_accepted_socket(lambda: Beginning(self._loop, protocol), owner)
        if not _Driver(connect, self._loop).step():
            owner.abandon()
            protocol.connection_lost(None)

    def _owner_of(self, handed: HandedSocket) -> Any:
        return CountedSocket(handed) if self._needs_socket else handed

    def _begin(self, handed: HandedSocket) -> asyncio.BaseProtocol:
        protocol = self._factory(handed)
        if self._ssl_context:  # bytes of a handshake are the encrypted transport's own
            return Beginning(self._loop, protocol)
        return FirstRead(self._loop, protocol, handed)
