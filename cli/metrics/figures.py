"""Owns which metrics there are: names, kinds, meanings, and where in an app's answer each value is.

Names and units are those of Prometheus (prometheus.io/docs/practices/naming): seconds and bytes, `_total` for what only
grows, which the exposition adds. Labels are `app`, `worker` and words of fixed lists, so that the number of series is
bounded by apps and workers. Pure; runs in the user's shell. It asks nobody and prints nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from ...supervisor.control.protocol import AppEntry, AppMetrics, WorkerEntry, WorkerFigures

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Figure(Generic[Subject]):
    """A metric with one value for each subject.

    Attributes:
        name: of the family; that of a counter without `_total`.
        meaning: for its HELP line and its row in docs/metrics.md.
        value: takes it from a subject; None: this one has none.
    """

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    value: Callable[[Subject], float | None]


@dataclass(frozen=True)
class WorkerWork:
    """A worker with all of its processes: during a reload it has two.

    Attributes:
        entries: one for each process, the newest last.
        figures: of the worker; None: nobody knows them.
    """

    id: int
    entries: Sequence[WorkerEntry]
    figures: WorkerFigures | None

    @property
    def newest(self) -> WorkerEntry:
        """The entry of the newest process."""
        return self.entries[-1]

    @property
    def requests(self) -> int | None:
        """Requests that were begun; None: nobody counts them."""
        counts = [entry.requests for entry in self.entries if entry.requests is not None]
        return sum(counts) if counts else None


def workers_of(app: AppEntry) -> list[WorkerWork]:
    """Return the workers of an app, by their numbers."""
    figures = {one.id: one for one in app.figures} if isinstance(app, AppMetrics) else {}
    by_id: dict[int, list[WorkerEntry]] = {}
    for entry in sorted(app.workers, key=lambda worker: (worker.id, worker.generation)):
        by_id.setdefault(entry.id, []).append(entry)
    return [WorkerWork(number, entries, figures.get(number)) for number, entries in by_id.items()]


def _if_running(value: Callable[[AppEntry], float]) -> Callable[[AppEntry], float | None]:
    return lambda app: None if app.pid is None else value(app)


def _of_logs(value: Callable[[Mapping[str, Any]], float]) -> Callable[[AppEntry], float | None]:
    return lambda app: value(app.logs) if isinstance(app, AppMetrics) else None


def _of_dispatcher(key: str) -> Callable[[AppEntry], float | None]:
    def value(app: AppEntry) -> float | None:
        counted = app.dispatcher.get(key) if isinstance(app, AppMetrics) else None
        return None if counted is None else float(counted)

    return value


def _started_at(app: AppEntry) -> float | None:
    return datetime.fromisoformat(app.started_at).timestamp() if app.started_at else None


def _memory_limit(app: AppEntry) -> float | None:
    return (app.max_memory_bytes or None) if isinstance(app, AppMetrics) else None


APP_FIGURES: tuple[Figure[AppEntry], ...] = (
    Figure("fastlb_app_start_time_seconds", "gauge", "When its supervisor was started, since the epoch.", _started_at),
    Figure(
        "fastlb_app_target_workers",
        "gauge",
        "How many workers there are to be.",
        _if_running(lambda app: app.target_workers),
    ),
    Figure(
        "fastlb_app_operations",
        "gauge",
        "Operations such as a reload that run or wait.",
        _if_running(lambda app: len(app.operations)),
    ),
    Figure(
        "fastlb_app_worker_memory_limit_bytes",
        "gauge",
        "Memory with which a worker is replaced (max_memory_restart), where there is a limit.",
        _memory_limit,
    ),
    Figure(
        "fastlb_autoscaling_min_workers",
        "gauge",
        "The fewest workers that the load can ask for.",
        lambda app: app.autoscaling.min_instances if app.autoscaling else None,
    ),
    Figure(
        "fastlb_autoscaling_max_workers",
        "gauge",
        "The most workers that the load can ask for.",
        lambda app: app.autoscaling.max_instances if app.autoscaling else None,
    ),
    Figure(
        "fastlb_autoscaling_pinned",
        "gauge",
        "1: a person has said how many workers there are to be; 0: the load does.",
        lambda app: float(app.autoscaling.mode == "pinned") if app.autoscaling else None,
    ),
    Figure(
        "fastlb_log_lost_lines",
        "counter",
        "Lines that did not get into their log file.",
        _of_logs(lambda logs: sum(logs.get("lost_lines", {}).values())),
    ),
    Figure(
        "fastlb_log_waiting_bytes",
        "gauge",
        "Log lines that wait for the disk.",
        _of_logs(lambda logs: logs.get("waiting_bytes", 0)),
    ),
    Figure(
        "fastlb_log_hanging_seconds",
        "gauge",
        "How long the disk of the logs has hung; 0: it does not.",
        _of_logs(lambda logs: logs.get("hanging_s", 0)),
    ),
    Figure(
        "fastlb_dispatcher_replacements",
        "counter",
        "How often the dispatcher died or hung and was replaced.",
        _of_dispatcher("replaced"),
    ),
    Figure("fastlb_dispatcher_wakeups", "counter", "How often the dispatcher woke.", _of_dispatcher("wakeups")),
    Figure(
        "fastlb_dispatcher_accepted_connections",
        "counter",
        "Connections taken from the listeners.",
        _of_dispatcher("accepted"),
    ),
    Figure(
        "fastlb_dispatcher_dispatched_connections",
        "counter",
        "Connections handed to workers, those handed over again included.",
        _of_dispatcher("dispatched"),
    ),
    Figure(
        "fastlb_dispatcher_redispatched_connections",
        "counter",
        "Connections handed over again: their worker died, drained, or had not taken them in time.",
        _of_dispatcher("redispatched"),
    ),
    Figure(
        "fastlb_dispatcher_unsticky_connections",
        "counter",
        "Connections given to another worker than the client's own, which was full (ip-hash).",
        _of_dispatcher("unsticky"),
    ),
    Figure(
        "fastlb_dispatcher_dropped_connections",
        "counter",
        "Connections closed without an answer.",
        _of_dispatcher("dropped"),
    ),
    Figure(
        "fastlb_dispatcher_send_failures",
        "counter",
        "How often a worker's channel took nothing.",
        _of_dispatcher("send_failures"),
    ),
    Figure(
        "fastlb_dispatcher_malformed_messages",
        "counter",
        "Messages in a worker's channel that were not understood.",
        _of_dispatcher("malformed"),
    ),
    Figure(
        "fastlb_dispatcher_held_connections", "gauge", "Connections that wait for a worker now.", _of_dispatcher("held")
    ),
    Figure(
        "fastlb_dispatcher_starved", "gauge", "1: no worker may take a connection now.", _of_dispatcher("starved")
    ),
)

WORKER_FIGURES: tuple[Figure[WorkerWork], ...] = (
    Figure(
        "fastlb_worker_up",
        "gauge",
        "1: it gets connections.",
        lambda worker: float(any(entry.status == "online" for entry in worker.entries)),
    ),
    Figure(
        "fastlb_worker_unhealthy",
        "gauge",
        "1: it fails its health check.",
        lambda worker: float(worker.newest.status == "unhealthy"),
    ),
    Figure(
        "fastlb_worker_requests",
        "counter",
        "Requests begun, where somebody counts them.",
        lambda worker: worker.requests,
    ),
    Figure(
        "fastlb_worker_request_errors",
        "counter",
        "Requests that ended in an exception of the app, or in WSGI apps with a status of 500 or more.",
        lambda worker: None if worker.requests is None else sum(entry.errors for entry in worker.entries),
    ),
    Figure(
        "fastlb_worker_open_connections",
        "gauge",
        "Connections of clients that are open, those that wait for the worker to take them included.",
        lambda worker: sum(entry.connections for entry in worker.entries),
    ),
    Figure(
        "fastlb_worker_cpu_seconds",
        "counter",
        "CPU time of its newest process, user and system.",
        lambda worker: worker.figures.cpu_seconds if worker.figures and worker.newest.pid else None,
    ),
    Figure(
        "fastlb_worker_resident_memory_bytes",
        "gauge",
        "Resident memory of its processes.",
        lambda worker: sum(entry.rss_bytes for entry in worker.entries),
    ),
    Figure(
        "fastlb_worker_restarts",
        "counter",
        "Processes that took the place of crashed ones, or of ones over a limit.",
        lambda worker: worker.newest.restarts,
    ),
    Figure(
        "fastlb_worker_unstable_restarts",
        "gauge",
        "Exits in a row that came within min_uptime.",
        lambda worker: worker.newest.unstable_restarts,
    ),
    Figure(
        "fastlb_worker_generation",
        "gauge",
        "Which code it runs: every reload and restart counts one up.",
        lambda worker: worker.newest.generation,
    ),
    Figure(
        "fastlb_worker_uptime_seconds",
        "gauge",
        "Since its newest process was started.",
        lambda worker: worker.newest.uptime_s if worker.newest.pid else None,
    ),
)
