"""Owns the deadlines of all connections of a worker: one timer for the loop instead of one per connection.

Runs in the event loop's thread of a worker process. Late by at most TICK, never early. Knows nothing of
HTTP.
"""

import asyncio
from heapq import heappop, heappush
from typing import Protocol

TICK = 0.01


class Timed(Protocol):
    """Something with one deadline.

    Attributes:
        deadline: loop time at which on_deadline is due; 0: none. Its owner moves it later, or to 0, at will,
            without telling the wheel: that is what makes a keep-alive request free of timers.
        watched_tick: the wheel's own mark: which bucket the entry that counts is in; 0: none.
    """

    deadline: float
    watched_tick: int

    def on_deadline(self, now: float) -> None:
        """The deadline has passed; it has been set to 0."""


class TimeoutWheel:
    """Buckets of TICK seconds. An entry whose deadline has moved later is moved on when its bucket is due."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use `loop`'s clock and timers."""
        self._loop = loop
        self._buckets: dict[int, dict[Timed, None]] = {}
        self._ticks: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, timed: Timed) -> None:
        """Call timed.on_deadline() when `timed.deadline` has passed. Cheap when an earlier entry exists."""
        tick = int(timed.deadline / TICK) + 1
        if 0 < timed.watched_tick <= tick:
            return
        if timed.watched_tick:
            self.forget(timed)  # its later entry would keep it in memory after its end
        timed.watched_tick = tick
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket[timed] = None
            return
        self._buckets[tick] = {timed: None}
        heappush(self._ticks, tick)
        if self._ticks[0] == tick:
            self._arm(tick)

    def forget(self, timed: Timed) -> None:
        """Hold `timed` no longer: it has ended, and would be kept in memory until its deadline."""
        bucket = self._buckets.get(timed.watched_tick)
        if bucket is not None:
            bucket.pop(timed, None)
        timed.watched_tick = 0

    def stop(self) -> None:
        """Forget everything."""
        self._buckets.clear()
        self._ticks.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(tick * TICK, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._ticks and self._ticks[0] * TICK <= now:
            tick = heappop(self._ticks)
            for timed in self._buckets.pop(tick):
                if timed.watched_tick == tick:  # else it has an earlier entry, made after this one
                    self._visit(timed, now)
        if self._ticks and self._timer is None:
            self._arm(self._ticks[0])

    def _visit(self, timed: Timed, now: float) -> None:
        timed.watched_tick = 0
        if not timed.deadline:
            return
        if timed.deadline > now:
            self.watch(timed)
            return
        timed.deadline = 0.0
        timed.on_deadline(now)
