"""Owns the worker's proof of life: a timer that writes the status page. Runs in workers, on the event loop's
thread.

Its lateness is the loop's lag. It never does anything that can wait.
"""

import asyncio
import time
from collections.abc import Callable

from fastlb.lb.inbox import ConnectionInbox

HEARTBEAT_INTERVAL = 0.5


class Heartbeat:
    """Beats from `start()` to `stop()`.

    Args:
        loop: the event loop whose life is proven.
        inbox: its status page is written; under pressure it looks for descriptors that the app has closed.
        oldest_request_ns: tells when the oldest running request began (CLOCK_MONOTONIC), 0 when none runs.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, inbox: ConnectionInbox, oldest_request_ns: Callable[[], int]
    ) -> None:
        self._loop = loop
        self._inbox = inbox
        self._oldest_request_ns = oldest_request_ns
        self._timer: asyncio.TimerHandle | None = None
        self._due_ns = 0

    def start(self) -> None:
        """Beat now, and from now on."""
        self._due_ns = time.monotonic_ns()
        self._beat()

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        now_ns = time.monotonic_ns()
        lag_ns = max(0, now_ns - self._due_ns)
        self._inbox.status.record_heartbeat(now_ns, lag_ns, self._oldest_request_ns())
        self._inbox.look_for_room()
        self._due_ns = now_ns + int(HEARTBEAT_INTERVAL * 1e9)
        self._timer = self._loop.call_later(HEARTBEAT_INTERVAL, self._beat)
