"""Owns the latencies of the last minute of each process, in bounded memory. Runs in the supervisor process.

A page counts from the begin of its process. So now and then a look at each is kept, and the last minute is what has
come since the oldest that is kept. It keeps nothing of a process that is gone.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from .percentiles import Histogram, difference

LOOK_INTERVAL = 10.0
LOOKS_KEPT = 6


@dataclass
class _Looks:
    """Of one process, the oldest first; before the first one it had done nothing."""

    is_whole: bool = True
    histograms: deque[Histogram] = field(default_factory=lambda: deque(maxlen=LOOKS_KEPT))


class RecentLatencies:
    """Remembers looks at histograms, by the number of the incarnation that each is of."""

    def __init__(self) -> None:
        self._looks: dict[int, _Looks] = {}
        self._next_at = 0.0

    def is_due(self, now: float) -> bool:
        """Whether it is time for a look; `now`: monotonic."""
        return now >= self._next_at

    def note(self, histograms: Mapping[int, Histogram], now: float) -> None:
        """Keep a look at all processes that there are, and forget the others."""
        self._next_at = now + LOOK_INTERVAL
        self._looks = {number: self._looks.get(number) or _Looks() for number in histograms}
        for number, histogram in histograms.items():
            looks = self._looks[number]
            looks.is_whole = looks.is_whole and len(looks.histograms) < LOOKS_KEPT
            looks.histograms.append(histogram)

    def since(self, number: int, histogram: Histogram) -> list[int]:
        """Return what came to the histogram of a process within the last 50 to 60 s; at first since it began."""
        looks = self._looks.get(number)
        if looks is None or looks.is_whole:
            return list(histogram)
        return difference(histogram, looks.histograms[0])
