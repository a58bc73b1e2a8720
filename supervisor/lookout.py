"""Owns looking after everyone again and again: how often, and that no error ends it. Runs in the supervisor process.

What is looked at, and what follows, is for others to say.
"""

import asyncio
import time
import traceback
from collections.abc import Callable

from .output.event_log import EventLog
from .processes.hang import Attention
from .settings.app_config import AppConfig

LONGEST_LOOK_INTERVAL = 1.0
SHORTEST_LOOK_INTERVAL = 0.05
LOOKS_PER_TIMEOUT = 5


class Lookout:
    """Makes one look after the other. Make it on the event loop.

    Args:
        config: returns the settings, which have the time-outs.
        look_once: is called with the seconds since the last look in which we were there to see something.
        log: is told of errors.

    Attributes:
        attention: knows how long we were not there.
    """

    def __init__(
        self, config: Callable[[], AppConfig], look_once: Callable[[float], None], log: EventLog
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._look_once = look_once
        self._log = log
        self._config = config
        self.attention = Attention(look_interval(config()), time.monotonic())
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Look now, and again after the interval."""
        try:
            self._look_once(self.attention.look(time.monotonic()))
        except Exception:  # noqa: BLE001 - the next look may find better times
            self._log.error("look_failed", traceback=traceback.format_exc())
        interval = look_interval(self._config())
        self.attention.expect(interval)
        self._timer = self._loop.call_later(interval, self.look)

    def close(self) -> None:
        """Look no more."""
        if self._timer:
            self._timer.cancel()


def look_interval(config: AppConfig) -> float:
    """Return the seconds between two looks at heartbeats: a fraction of the shortest time-out."""
    timeouts = [timeout for timeout in (config.hang_timeout, config.request_timeout) if timeout]
    shortest = min(timeouts, default=LONGEST_LOOK_INTERVAL) / LOOKS_PER_TIMEOUT
    return min(max(shortest, SHORTEST_LOOK_INTERVAL), LONGEST_LOOK_INTERVAL)
