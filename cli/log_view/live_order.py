"""Owns the order of lines that come from several apps at once. Runs in the user's shell. Pure; times are passed in.

Each supervisor passes lines on in its own time: those of another app that were written before may come a little later.
So each line waits for HOLD_SECONDS before it is shown.
"""

import heapq
from collections import deque
from typing import Generic, TypeVar

HOLD_SECONDS = 0.15  # longer than supervisors gather lines (output/pipes.py)
MOST_HELD = 10_000
Line = TypeVar("Line")


class LiveOrder(Generic[Line]):
    """Lines that wait. Times of `add` and `due` are of one clock; those of lines may be of another."""

    def __init__(self) -> None:
        self._by_time: list[tuple[float, int, Line]] = []
        self._by_arrival: deque[tuple[float, float]] = deque()  # when it is due, and the line's time
        self._count = 0

    def add(self, line: Line, at: float, now: float) -> None:
        """Take a line that was written `at`."""
        self._count += 1
        heapq.heappush(self._by_time, (at, self._count, line))
        self._by_arrival.append((now + HOLD_SECONDS, at))

    def due(self, now: float) -> list[Line]:
        """Return the lines that have waited, and what was written before them, in order of time."""
        until = float("-inf")
        while self._by_arrival and (self._by_arrival[0][0] <= now or len(self._by_arrival) > MOST_HELD):
            until = max(until, self._by_arrival.popleft()[1])
        lines = []
        while self._by_time and self._by_time[0][0] <= until:
            lines.append(heapq.heappop(self._by_time)[2])
        if not self._by_time:
            self._by_arrival.clear()
        return lines

    def next_due(self) -> float | None:
        """Return when a line will have waited; None: none waits."""
        return self._by_arrival[0][0] if self._by_arrival else None

    def rest(self) -> list[Line]:
        """Return all that wait, in order of time."""
        return self.due(float("inf"))
