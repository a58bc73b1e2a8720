"""Owns when the service manager is told what: on every change of what is done to the app, and again and again as a sign
of life. Runs in the supervisor process, on its event loop: a loop that hangs gives no sign.
"""

import asyncio
import os
import time
from collections.abc import Callable

from ..control.protocol import AppEntry
from .manager import ServiceManager
from .words import Phase, Said, message, said_of

# A worker that is gone, or back, is told within this.
STATUS_SECONDS = 5.0
SIGNS_PER_WATCHDOG = 2


class Announcer:
    """Tells a service manager how the app is. Make it on the event loop.

    Args:
        manager: borrowed; None: nobody wants to hear anything, and nothing is done.
        entry: returns what `list` says of the app.
        failure: returns why the last operation failed; "": it did not.
    """

    def __init__(
        self, manager: ServiceManager | None, entry: Callable[[], AppEntry], failure: Callable[[], str]
    ) -> None:
        self._manager = manager
        self._entry = entry
        self._failure = failure
        self._phase = Phase.STARTING
        self._said = Said()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Give signs of life from here on."""
        if self._manager:
            self._tick()

    def ready(self) -> None:
        """The app serves."""
        if self._phase is Phase.STARTING:
            self._phase = Phase.READY
        self.look()

    def stopping(self) -> None:
        """The app ends."""
        self._phase = Phase.STOPPING
        self.look()

    def look(self) -> None:
        """Tell what has changed since the last time."""
        self._say(is_alive=False)

    def close(self) -> None:
        """Say nothing more: another process speaks, or this one is at its end."""
        self._manager = None
        if self._timer:
            self._timer.cancel()

    def _tick(self) -> None:
        assert self._manager
        watchdog = self._manager.watchdog_seconds
        interval = min(STATUS_SECONDS, watchdog / SIGNS_PER_WATCHDOG) if watchdog else STATUS_SECONDS
        self._timer = asyncio.get_running_loop().call_later(interval, self._tick)
        self._say(is_alive=bool(watchdog))

    def _say(self, *, is_alive: bool) -> None:
        if self._manager is None:
            return
        now = said_of(self._entry(), self._phase, self._failure())
        text = message(now, self._said, os.getpid(), time.monotonic_ns() // 1000, is_alive=is_alive)
        if text and self._manager.send(text):
            self._said = now
