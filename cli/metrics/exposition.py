"""Owns how figures of apps become OpenMetrics text, by prometheus-client's exposition. Pure; the user's shell.

Imported by what prints metrics alone: prometheus-client takes longer to import than `fastlb list` takes.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar, get_args

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from ...supervisor.control.protocol import AppEntry, AppStatus, WorkerStatus
from .figures import APP_FIGURES, WORKER_FIGURES, Figure, WorkerWork, workers_of

DURATION = "fastlb_worker_request_duration_seconds"
# Of the buckets of a page, the powers of two of microseconds that get a series: 256 us to 67 s; others are joined.
BUCKET_EXPONENTS = range(8, 27)
UNITS = ("seconds", "bytes")

Subject = TypeVar("Subject")
Labelled = tuple[tuple[str, ...], Subject]


def metrics_text(apps: Sequence[AppEntry]) -> bytes:
    """Return what is known of apps as OpenMetrics text; of those that are AppMetrics everything."""
    return generate_latest(_Collected(apps))  # type: ignore[no-any-return]


class _Collected(Collector):
    """Gives the exposition all families."""

    def __init__(self, apps: Sequence[AppEntry]) -> None:
        self._apps = apps

    def collect(self) -> Iterator[Metric]:
        """Yield every family, those without samples as well: what there is to see does not depend on what runs."""
        apps = [((app.name,), app) for app in self._apps]
        workers = [((app.name, str(worker.id)), worker) for app in self._apps for worker in workers_of(app)]
        yield _info(self._apps)
        yield _status(self._apps)
        yield _workers_by_status(self._apps)
        for figure in APP_FIGURES:
            yield _family(figure, ("app",), apps)
        for worker_figure in WORKER_FIGURES:
            yield _family(worker_figure, ("app", "worker"), workers)
        yield _durations(workers)


def _family(figure: Figure[Subject], labels: Sequence[str], subjects: Sequence[Labelled[Subject]]) -> Metric:
    family_type = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
    family = family_type(figure.name, figure.meaning, labels=labels, unit=_unit(figure.name))
    for names, subject in subjects:
        if (value := figure.value(subject)) is not None:
            family.add_metric(names, value)
    return family


def _unit(name: str) -> str:
    ending = name.rpartition("_")[2]
    return ending if ending in UNITS else ""


def _info(apps: Sequence[AppEntry]) -> Metric:
    family = InfoMetricFamily("fastlb_app", "What runs, and by which fastlb.", labels=["app"])
    for app in apps:
        family.add_metric([app.name], {"mode": app.mode, "namespace": app.namespace, "version": app.version})
    return family


def _status(apps: Sequence[AppEntry]) -> Metric:
    family = StateSetMetricFamily("fastlb_app_status", "The status of the app: one of these is 1.", labels=["app"])
    for app in apps:
        family.add_metric([app.name], {word: app.status == word for word in get_args(AppStatus)})
    return family


def _workers_by_status(apps: Sequence[AppEntry]) -> Metric:
    family = GaugeMetricFamily("fastlb_app_workers", "Workers of each status.", labels=["app", "status"])
    for app in apps:
        statuses = [worker.status for worker in app.workers]
        for word in get_args(WorkerStatus):
            family.add_metric([app.name, word], statuses.count(word))
    return family


def _durations(workers: Sequence[Labelled[WorkerWork]]) -> Metric:
    meaning = "How long requests took that have ended, where somebody measures it."
    family = HistogramMetricFamily(DURATION, meaning, labels=["app", "worker"], unit="seconds")
    for names, worker in workers:
        if worker.figures and worker.requests is not None:
            # No sum: the pages do not count it, and one that is guessed from the buckets would be taken for true.
            family.add_metric(names, cumulative_buckets(worker.figures.latency_us), None)
    return family


def cumulative_buckets(latency_us: Sequence[int]) -> list[tuple[str, float]]:
    """Return the buckets of a histogram of a page (lb/page.pxd) as pairs of a bound in seconds and a count up to it."""
    bounded = [(str(2**exponent / 1e6), float(sum(latency_us[: exponent + 1]))) for exponent in BUCKET_EXPONENTS]
    return [*bounded, ("+Inf", float(sum(latency_us)))]
