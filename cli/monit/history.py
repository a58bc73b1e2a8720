"""Owns the figures of the last minutes of all apps, in bounded memory. Pure; runs in the user's shell."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...supervisor.control.protocol import AppEntry, AppMetrics
from ...supervisor.rates.meter import AppRates, RateMeter
from ..apps import AppState

KEPT = 120


def _series() -> deque[float]:
    return deque(maxlen=KEPT)


@dataclass
class AppHistory:
    """One app.

    Attributes:
        entry: as it was seen last.
        problem: as in AppState.
        rates: between the last two looks; None: nothing can be said yet, or it does not run.
        requests, cpu_percent, memory_bytes, p99_ms: the series of these, the newest last.
    """

    entry: AppEntry
    problem: str = ""
    rates: AppRates | None = None
    meter: RateMeter = field(default_factory=RateMeter)
    requests: deque[float] = field(default_factory=_series)
    cpu_percent: deque[float] = field(default_factory=_series)
    memory_bytes: deque[float] = field(default_factory=_series)
    p99_ms: deque[float] = field(default_factory=_series)

    def note(self, state: AppState, now: float) -> None:
        """Take in how it is `now`, monotonic seconds."""
        self.entry, self.problem = state.entry, state.problem
        self.rates = self.meter.look(state.entry, now) if isinstance(state.entry, AppMetrics) else None
        if self.rates:
            self.requests.append(self.rates.app.requests or 0.0)
            self.cpu_percent.append(self.rates.app.cpu_percent)
            self.memory_bytes.append(self.rates.app.memory_bytes)
            self.p99_ms.append(self.rates.app.latency_ms(99) or 0.0)


class Histories:
    """All apps, by their names; one that is gone is forgotten."""

    def __init__(self) -> None:
        self.apps: dict[str, AppHistory] = {}

    def note(self, states: Sequence[AppState], now: float) -> None:
        """Take in how all apps are now."""
        before, self.apps = self.apps, {}
        for state in states:
            name = state.entry.name
            self.apps[name] = before.get(name) or AppHistory(state.entry)
            self.apps[name].note(state, now)
