"""Owns which figures of apps and workers are metrics: names, kinds, meanings, and where in an answer each value is.

Pure; runs in the supervisor process and in the user's shell. It asks nobody and prints nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ..control.protocol import AppEntry, AppMetrics, ListenerFigures
from .views import AppView, Figure, Words, WorkerWork


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


def _limit(name: str) -> Callable[[AppEntry], float | None]:
    return lambda app: (getattr(app, name) or None) if isinstance(app, AppMetrics) else None


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
        _limit("max_memory_bytes"),
    ),
    Figure(
        "fastlb_app_worker_requests_limit",
        "gauge",
        "Requests after which a worker is replaced (max_requests), where there is a limit.",
        _limit("max_requests"),
    ),
    Figure(
        "fastlb_app_worker_lifetime_limit_seconds",
        "gauge",
        "Time after which a worker is replaced (max_lifetime), where there is a limit.",
        _limit("max_lifetime_s"),
    ),
    Figure(
        "fastlb_app_generation",
        "gauge",
        "The newest generation of its workers: every reload and restart counts one up.",
        _if_running(lambda app: max((worker.generation for worker in app.workers), default=0)),
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
        _of_logs(lambda logs: sum(logs.get("lost_lines", {}).values()) + logs.get("dropped_now", 0)),
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


def _of_events(name: str) -> Callable[[AppView], Mapping[str, float]]:
    return lambda app: getattr(app.metrics.events, name) if app.metrics else {}


def _operation_results(app: AppView) -> Mapping[tuple[str, str], float]:
    operations = app.metrics.events.operations if app.metrics else {}
    return {(verb, result): count for verb, results in operations.items() for result, count in results.items()}


APP_WORDS: tuple[Words, ...] = (
    Words(
        "fastlb_app_restarts",
        "counter",
        ("reason",),
        "Processes that took, or are to take, the place of others, by what made that necessary.",
        _of_events("restarts"),
    ),
    Words(
        "fastlb_operations",
        "counter",
        ("operation", "result"),
        "Operations such as a reload that have ended.",
        _operation_results,
    ),
    Words(
        "fastlb_autoscaling_decisions",
        "counter",
        ("decision",),
        "Steps that the load has asked for: up, down, or held back for lack of memory.",
        _of_events("decisions"),
    ),
    Words(
        "fastlb_events", "counter", ("level",), "Events of the app (fastlb events), by level.", _of_events("levels")
    ),
    Words(
        "fastlb_log_lines",
        "counter",
        ("stream",),
        "Lines that the workers have written.",
        lambda app: app.metrics.log_lines if app.metrics else {},
    ),
)

LISTENER_FIGURES: tuple[Figure[ListenerFigures], ...] = (
    Figure(
        "fastlb_listener_accepted_connections",
        "counter",
        "Connections taken from this listener by the present dispatcher.",
        lambda listener: listener.accepted,
    ),
    Figure(
        "fastlb_listener_accept_errors",
        "counter",
        "Times that the present dispatcher could not accept, for lack of descriptors or memory.",
        lambda listener: listener.errors,
    ),
    Figure(
        "fastlb_listener_accept_queue_connections",
        "gauge",
        "Connections that wait in the kernel.",
        lambda listener: listener.waiting,
    ),
    Figure(
        "fastlb_listener_accept_queue_limit",
        "gauge",
        "So many may wait there: backlog, as far as the system allows it.",
        lambda listener: listener.limit,
    ),
    Figure(
        "fastlb_listener_dropped_connections",
        "counter",
        "Connections for which there was no room there, of TCP; clients try again after a second or more.",
        lambda listener: listener.dropped,
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
        "fastlb_worker_busy_connections",
        "gauge",
        "Connections or requests that it works on now, where somebody counts them.",
        lambda worker: worker.figure("busy"),
    ),
    Figure(
        "fastlb_worker_untaken_connections",
        "gauge",
        "Connections that were handed to it and that it has not taken yet.",
        lambda worker: worker.figure("untaken"),
    ),
    Figure(
        "fastlb_worker_loop_lag_seconds",
        "gauge",
        "How late the last turn of its event loop was, where there is one.",
        lambda worker: worker.figure("loop_lag_s"),
    ),
    Figure(
        "fastlb_worker_oldest_request_seconds",
        "gauge",
        "How long the oldest request runs that has not ended; 0: none runs.",
        lambda worker: worker.figure("oldest_request_s"),
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
