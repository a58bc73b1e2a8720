"""Owns what an app does a second: what has come to its counters between two looks. Pure; supervisor and shell.

A look is the answer to `metrics`, whose counters outlast the processes. Whoever looks says when, by one clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..control.protocol import AppMetrics, WorkerEntry
from ..latency.percentiles import difference, percentile_ms, total
from ..responses.counts import added, grown


@dataclass(frozen=True)
class Rates:
    """What was done between two looks, a second; `connections`, `memory_bytes`: as of the later one.

    Attributes:
        requests: begun; None: nobody counts them.
        errors: requests that failed.
        cpu_percent: of one CPU.
        latency_us: requests that have ended meanwhile, a histogram as in lb/page.pxd; empty: nobody measures them.
        responses: how many of each status there were meanwhile.
    """

    requests: float | None
    errors: float
    cpu_percent: float
    connections: int
    memory_bytes: int
    latency_us: Sequence[int] = ()
    responses: Mapping[int, int] = field(default_factory=dict)

    @property
    def error_percent(self) -> float:
        """How many of 100 requests failed; 0 where there were none, or nobody counts them."""
        return min(100 * self.errors / self.requests, 100.0) if self.requests else 0.0

    def latency_ms(self, percent: float) -> float | None:
        """Return within how many milliseconds so many percent were answered; None: of none."""
        return percentile_ms(self.latency_us, percent)


@dataclass(frozen=True)
class AppRates:
    """What an app and each of its workers did.

    Attributes:
        seconds: between the two looks.
        app: of all workers together.
        workers: by the number in the app; one that was not there at the earlier look is left out.
        accepted: connections taken from the listeners a second; None: there is no dispatcher.
    """

    seconds: float
    app: Rates
    workers: dict[int, Rates]
    accepted: float | None


@dataclass(frozen=True)
class _Counted:
    """What one worker has counted."""

    requests: int | None
    errors: int
    pid: int | None
    cpu_seconds: float
    connections: int
    memory_bytes: int
    latency_us: Sequence[int]
    responses: Mapping[int, int]


@dataclass(frozen=True)
class _Look:
    at: float
    run: tuple[int | None, str]  # which supervisor it was that counted
    workers: dict[int, _Counted]
    accepted: int | None


class RateMeter:
    """Remembers the last look at one app."""

    def __init__(self) -> None:
        self._last: _Look | None = None

    def look(self, app: AppMetrics, now: float) -> AppRates | None:
        """Return what was done since the last look; None: there was none, or the app was started anew since.

        Args:
            app: what it counts now.
            now: monotonic seconds.
        """
        before, after = self._last, _look(app, now)
        self._last = after
        if before is None or before.run != after.run or now <= before.at:
            return None
        seconds = now - before.at
        both = sorted(after.workers.keys() & before.workers.keys())
        workers = {number: _rates(before.workers[number], after.workers[number], seconds) for number in both}
        return AppRates(seconds, _sum([*workers.values()], after), workers, _accepted(before, after, seconds))


def _look(app: AppMetrics, now: float) -> _Look:
    accepted = app.dispatcher.get("accepted")
    figures = {one.id: one for one in app.figures}
    entries: dict[int, list[WorkerEntry]] = {}
    for entry in sorted(app.workers, key=lambda worker: worker.generation):
        entries.setdefault(entry.id, []).append(entry)
    workers = {}
    for number, own in entries.items():
        counts = [entry.requests for entry in own if entry.requests is not None]
        figure = figures.get(number)
        workers[number] = _Counted(
            requests=sum(counts) if counts else None,
            errors=sum(entry.errors for entry in own),
            pid=own[-1].pid,
            cpu_seconds=figure.cpu_seconds if figure else 0.0,
            connections=sum(entry.connections for entry in own),
            memory_bytes=sum(entry.rss_bytes for entry in own),
            latency_us=figure.latency_us if figure else (),
            responses=figure.responses if figure else {},
        )
    return _Look(now, (app.pid, app.started_at), workers, None if accepted is None else int(accepted))


def _rates(early: _Counted, late: _Counted, seconds: float) -> Rates:
    # Counters are a worker's claims, and begin again with a `reset`: what has fallen has done nothing.
    cpu_before = early.cpu_seconds if early.pid == late.pid else 0.0
    requests = None if late.requests is None else max(late.requests - (early.requests or 0), 0) / seconds
    return Rates(
        requests=requests,
        errors=max(late.errors - early.errors, 0) / seconds,
        cpu_percent=100 * max(late.cpu_seconds - cpu_before, 0.0) / seconds,
        connections=late.connections,
        memory_bytes=late.memory_bytes,
        latency_us=difference(late.latency_us, early.latency_us),
        responses=grown(late.responses, early.responses),
    )


def _sum(workers: Sequence[Rates], after: _Look) -> Rates:
    counts = [one.requests for one in workers if one.requests is not None]
    return Rates(
        requests=sum(counts) if counts else None,
        errors=sum(one.errors for one in workers),
        cpu_percent=sum(one.cpu_percent for one in workers),
        connections=sum(one.connections for one in after.workers.values()),
        memory_bytes=sum(one.memory_bytes for one in after.workers.values()),
        latency_us=total([one.latency_us for one in workers]),
        responses=added([one.responses for one in workers]),
    )


def _accepted(before: _Look, after: _Look, seconds: float) -> float | None:
    if before.accepted is None or after.accepted is None:
        return None
    return max(after.accepted - before.accepted, 0) / seconds
