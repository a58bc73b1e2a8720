"""Owns that clients are refused while no worker serves them and none will by itself, instead of waiting for nobody.

Runs in the supervisor process. When that is so is decided by the app; which sockets there are is said by their list.
"""

import asyncio
from collections.abc import Sequence

from ..errors import FastlbError
from ..settings.app_config import AppConfig
from ..settings.socket_mode import parse_mode
from ..sockets.listeners import BoundListener
from ..sockets.refusing import listen_again, refuse_clients
from .keeper import DispatcherKeeper


class Refusal:
    """Closes the app's listeners, and opens them again. Make it on the event loop.

    Args:
        config: for the backlog, and the mode of unix sockets.
        listeners, keeper: borrowed.
    """

    def __init__(self, config: AppConfig, listeners: Sequence[BoundListener], keeper: DispatcherKeeper) -> None:
        self._config = config
        self._listeners = listeners
        self._keeper = keeper
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        """Whether clients are refused, or about to be."""
        return self._closing is not None

    def begin(self) -> None:
        """Refuse clients from now on, if it is not so already."""
        if self._closing is None:
            self._keeper.wanted.refuse_clients(refuses=True)
            self._closing = asyncio.create_task(self._close())

    async def end(self) -> None:
        """Let clients in again, on the same addresses.

        Raises:
            FastlbError: somebody has taken one of these meanwhile; then all clients are still refused.
        """
        if self._closing is None:
            return
        await asyncio.shield(self._closing)
        mode = parse_mode(self._config.socket_mode)
        try:
            for listener in self._listeners:
                listen_again(listener, self._config.backlog, mode)
        except FastlbError:
            self._refuse_all()
            raise
        self._closing = None
        self._keeper.wanted.refuse_clients(refuses=False)

    def close(self) -> None:
        """Do nothing any more: the listeners are about to be closed for good."""
        if self._closing:
            self._closing.cancel()

    async def _close(self) -> None:
        await self._keeper.carried_out()  # until then the dispatcher holds the sockets, too
        self._refuse_all()

    def _refuse_all(self) -> None:
        for listener in self._listeners:
            refuse_clients(listener)
