"""Owns the figures of an app at one moment, as the page draws them. Pure but for what it remembers; the user's shell.

An app is looked at every two seconds, by one of three meters in turn: so what is shown is of the last six seconds, calm
enough to be read and never older than two.
"""

from math import nan
from typing import NamedTuple

from ...supervisor.control.protocol import AppEntry, AppMetrics
from ...supervisor.rates.meter import AppRates, RateMeter

METERS = 3


class Point(NamedTuple):
    """The figures of an app at one moment; nan: nobody knows.

    `requests_per_s`, `errors_per_s`, `cpu_percent` (of one CPU) and the latencies are of the last seconds;
    `connections` are open, `workers` get connections.
    """

    requests_per_s: float = nan
    errors_per_s: float = nan
    p50_ms: float = nan
    p99_ms: float = nan
    cpu_percent: float = nan
    rss_bytes: float = nan
    connections: float = nan
    workers: float = nan


NOTHING = Point()


class Meters:
    """Remembers the last looks at one app."""

    def __init__(self) -> None:
        self._meters = [RateMeter() for _ in range(METERS)]
        self._is_new = True

    def look(self, app: AppEntry, turn: int, now: float) -> AppRates | None:
        """Return what was done since the look before the last METERS - 1 ones; None: nobody knows.

        Args:
            app: what it counts now.
            turn: counts the looks, of all apps together.
            now: monotonic seconds.
        """
        if not isinstance(app, AppMetrics):
            return None
        due, others = turn % METERS, range(METERS) if self._is_new else ()
        rates = self._meters[due].look(app, now)
        for number in others:
            if number != due:
                self._meters[number].look(app, now)  # so that there are rates from the second look on
        self._is_new = False
        return rates


def point_of(app: AppEntry, rates: AppRates | None) -> Point:
    """Return the figures of an app; `rates`: None: nobody knows them."""
    if app.pid is None:
        return NOTHING
    levels = Point(
        rss_bytes=sum(worker.rss_bytes for worker in app.workers),
        connections=sum(worker.connections for worker in app.workers),
        workers=sum(worker.status == "online" for worker in app.workers),
    )
    if rates is None:
        return levels
    counts = rates.app.requests is not None
    return levels._replace(
        requests_per_s=_known(rates.app.requests),
        errors_per_s=rates.app.errors if counts else nan,
        p50_ms=_known(rates.app.latency_ms(50)),
        p99_ms=_known(rates.app.latency_ms(99)),
        cpu_percent=rates.app.cpu_percent,
    )


def _known(value: float | None) -> float:
    return nan if value is None else value
