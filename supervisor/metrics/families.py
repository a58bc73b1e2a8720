"""Owns the families of metrics in their order, and which samples each has. Pure; supervisor and shell.

Labels are `app`, `worker`, addresses of listeners and words of fixed lists, so that apps and workers bound how many
series there are. Names and units are those of Prometheus (prometheus.io/docs/practices/naming): seconds and bytes,
`_total` behind what only grows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, get_args

from ..control.protocol import AppStatus, WorkerStatus
from ..responses.counts import by_class
from .figures import APP_FIGURES, APP_WORDS, LISTENER_FIGURES, WORKER_FIGURES
from .views import AppView, Figure, Subject, Words, quoted

Kind = Literal["counter", "gauge", "info", "stateset", "histogram", "summary"]
# Name, labels as they stand between the braces, value.
Sample = tuple[str, str, float]
Machine = Mapping[str, int]
Samples = Callable[[Sequence[AppView], Machine], Iterable[Sample]]

DURATION = "fastlb_worker_request_duration_seconds"
BUCKET = f"{DURATION}_bucket"
RESPONSES = "fastlb_worker_responses"
OPERATION = "fastlb_operation_duration_seconds"
# Of the buckets of a page, the powers of two of microseconds that get a series: 256 us to 67 s; others are joined.
BUCKET_EXPONENTS = range(8, 27)
BUCKET_LABELS = [*(f'le="{2**exponent / 1e6!r}"' for exponent in BUCKET_EXPONENTS), 'le="+Inf"']
STATUSES = get_args(AppStatus)
WORKER_STATUSES = get_args(WorkerStatus)


@dataclass(frozen=True)
class Family:
    """Metrics of one name.

    Attributes:
        name: that of a counter without `_total`.
        meaning: for its HELP line and its row in docs/metrics.md.
        samples: returns what there is to say of all apps.
    """

    name: str
    kind: Kind
    meaning: str
    samples: Samples


def cumulative_buckets(latency_us: Sequence[int]) -> list[float]:
    """Return how many requests were below each bound, and last all, of a histogram of a page (lb/page.pxd)."""
    up_to = list(accumulate(latency_us))
    return [float(up_to[exponent]) for exponent in BUCKET_EXPONENTS] + [float(up_to[-1])]


def _figures(figure: Figure[Subject], subjects: Callable[[AppView], Iterable[tuple[str, Subject]]]) -> Family:
    sample = f"{figure.name}_total" if figure.kind == "counter" else figure.name

    def samples(apps: Sequence[AppView], _: Machine) -> Iterator[Sample]:
        for app in apps:
            for labels, subject in subjects(app):
                if (value := figure.value(subject)) is not None:
                    yield sample, labels, float(value)

    return Family(figure.name, figure.kind, figure.meaning, samples)


def _words(words: Words) -> Family:
    sample = f"{words.name}_total" if words.kind == "counter" else words.name

    def samples(apps: Sequence[AppView], _: Machine) -> Iterator[Sample]:
        for app in apps:
            for labels, value in words.values(app).items():
                pairs = zip(words.labels, labels if isinstance(labels, tuple) else (labels,), strict=True)
                yield sample, ",".join([app.labels, *(quoted(*pair) for pair in pairs)]), float(value)

    return Family(words.name, words.kind, words.meaning, samples)


def _info(apps: Sequence[AppView], _: Machine) -> Iterator[Sample]:
    for app in apps:
        entry = app.entry
        words = {"mode": entry.mode, "namespace": entry.namespace, "version": entry.version}
        yield "fastlb_app_info", ",".join([app.labels, *(quoted(*pair) for pair in words.items())]), 1.0


def _status(apps: Sequence[AppView], _: Machine) -> Iterator[Sample]:
    for app in apps:
        for word in STATUSES:
            yield "fastlb_app_status", f'{app.labels},fastlb_app_status="{word}"', float(app.entry.status == word)


def _workers_by_status(apps: Sequence[AppView], _: Machine) -> Iterator[Sample]:
    for app in apps:
        statuses = [worker.status for worker in app.entry.workers]
        for word in WORKER_STATUSES:
            yield "fastlb_app_workers", f'{app.labels},status="{word}"', float(statuses.count(word))


def _durations(apps: Sequence[AppView], _: Machine) -> Iterator[Sample]:
    for app in apps:
        bounds = [f"{app.labels},{bound}," for bound in BUCKET_LABELS]
        for labels, worker in app.workers:
            if not worker.figures or worker.requests is None or not worker.figures.latency_us:
                continue
            counts, own = cumulative_buckets(worker.figures.latency_us), f'worker="{worker.id}"'
            for bound, up_to in zip(bounds, counts, strict=True):
                yield BUCKET, bound + own, up_to
            yield f"{DURATION}_count", labels, counts[-1]
            yield f"{DURATION}_sum", labels, worker.figures.latency_sum_us / 1e6


def _responses(apps: Sequence[AppView], _: Machine) -> Iterator[Sample]:
    for app in apps:
        for _labels, worker in app.workers:
            if worker.figures and worker.requests is not None:
                for word, count in by_class(worker.figures.responses).items():
                    yield f"{RESPONSES}_total", f'{app.labels},code_class="{word}",worker="{worker.id}"', float(count)


def _operations(apps: Sequence[AppView], _: Machine) -> Iterator[Sample]:
    for app in apps:
        if app.metrics is None:
            continue
        for verb, seconds in app.metrics.events.operation_seconds.items():
            labels = f"{app.labels},{quoted('operation', verb)}"
            yield f"{OPERATION}_count", labels, float(sum(app.metrics.events.operations[verb].values()))
            yield f"{OPERATION}_sum", labels, seconds


def _of_machine(name: str, key: str, meaning: str) -> Family:
    def samples(_: Sequence[AppView], machine: Machine) -> Iterator[Sample]:
        if key in machine:
            yield f"{name}_total", "", float(machine[key])

    return Family(name, "counter", meaning, samples)


FAMILIES: tuple[Family, ...] = (
    Family("fastlb_app", "info", "What runs, and by which fastlb.", _info),
    Family("fastlb_app_status", "stateset", "The status of the app: one of these is 1.", _status),
    Family("fastlb_app_workers", "gauge", "Workers of each status.", _workers_by_status),
    *(_figures(figure, lambda app: [(app.labels, app.entry)]) for figure in APP_FIGURES),
    *(_words(words) for words in APP_WORDS),
    Family(OPERATION, "summary", "How long operations such as a reload took, however they ended.", _operations),
    *(_figures(figure, lambda app: app.listeners) for figure in LISTENER_FIGURES),
    _of_machine(
        "fastlb_host_listen_overflows",
        "ListenOverflows",
        "Connections for which a listening socket had no room, of all programs in this network namespace.",
    ),
    _of_machine(
        "fastlb_host_listen_drops",
        "ListenDrops",
        "The same, with those that were dropped for other reasons.",
    ),
    *(_figures(figure, lambda app: app.workers) for figure in WORKER_FIGURES),
    Family(
        RESPONSES, "counter", "Responses by the first digit of their status, where somebody counts them.", _responses
    ),
    Family(
        DURATION, "histogram", "How long requests took that have ended, where somebody measures it.", _durations
    ),
)
