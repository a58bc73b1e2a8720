"""Owns what the page is told of an app: its words and figures, and what is wrong with it. Pure; the user's shell."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from ...supervisor.control.protocol import AppMetrics, OperationEntry, WorkerEntry, WorkerFigures
from ...supervisor.rates.meter import AppRates
from ...supervisor.safe_text import escape_line
from ..apps import AppState
from .points import Point

Severity = Literal["", "warning", "bad"]
BAD_APPS = {
    "errored": "no worker runs, and none will by itself",
    "died": "its supervisor was killed",
    "unresponsive": "its supervisor does not answer",
}
# Seconds from which on a request, or what holds the event loop, is worth a word.
LONG_REQUEST = 5.0
LONG_HOLD = 0.2
# So long after it has ended soon, a worker is not trusted again.
SHAKY_SECONDS = 600.0
# Percent of the requests, over some seconds.
MANY_ERRORS = 5.0
SICK_WORKERS = ("errored", "unhealthy", "backoff", "unready")
MAX_TROUBLES = 5
MAX_TEXT_CHARACTERS = 500


class Trouble(msgspec.Struct):
    """What is wrong. `text`: a sentence without its subject, which is the app."""

    severity: Literal["warning", "bad"]
    text: str


class WorkerView(msgspec.Struct):
    """A process of a worker; as WorkerEntry, with requests a second.

    `busy`: connections or requests that occupy it; None: nobody knows. `note`: what there is to say of it.
    """

    id: int
    pid: int | None
    status: str
    generation: int
    uptime_s: float
    restarts: int
    connections: int
    requests: int | None
    requests_per_s: float | None
    busy: int | None
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    cpu_percent: float
    rss_bytes: int
    note: str


class AppView(msgspec.Struct):
    """An app. `live`: its figures now, as in Point. `severity`: of the worst of its troubles; empty: there are none."""

    name: str
    status: str
    pid: int | None
    severity: Severity
    troubles: list[Trouble]
    mode: str
    namespace: str
    target: str
    version: str
    balance: str
    binds: list[str]
    uptime_s: float
    restarts: int
    target_workers: int
    operations: list[OperationEntry]
    autoscaling: str
    live: dict[str, float]
    workers: list[WorkerView]


def view_of(state: AppState, live: Point, rates: AppRates | None) -> AppView:
    """Return what the page is told. `rates`: of its workers; None: nobody knows them."""
    app = state.entry
    troubles = troubles_of(state, rates)
    newest = {worker.id: worker.generation for worker in app.workers}  # they come in the order of generations
    figures = {one.id: one for one in app.figures} if isinstance(app, AppMetrics) else {}
    return AppView(
        name=app.name,
        status=app.status,
        pid=app.pid,
        severity=_worst(troubles),
        troubles=troubles[:MAX_TROUBLES],
        mode=app.mode,
        namespace=app.namespace,
        target=app.target,
        version=app.version,
        balance=app.balance,
        binds=app.binds,
        uptime_s=app.uptime_s,
        restarts=app.restarts,
        target_workers=app.target_workers,
        operations=app.operations,
        autoscaling=app.autoscaling.mode if app.autoscaling else "",
        live={name: round(value, 3) for name, value in live._asdict().items()},
        workers=[_worker(worker, newest[worker.id], rates, figures.get(worker.id)) for worker in app.workers],
    )


def troubles_of(state: AppState, rates: AppRates | None) -> list[Trouble]:
    """Return what is wrong with an app, the worst first. `rates`: as `view_of`."""
    app = state.entry
    found = [Trouble("warning", _cut(state.problem))] if state.problem else []
    if app.status in BAD_APPS:
        found.append(Trouble("bad", _with_exit(BAD_APPS[app.status], app.last_exit)))
    elif app.status == "degraded":
        online = sum(worker.status == "online" for worker in app.workers)
        text = f"{online} of {app.target_workers} workers get connections"
        found.append(Trouble("warning" if online else "bad", text))
    found += [Trouble("warning", _cut(f"alert {alert.name}: {alert.text}")) for alert in app.alerts]
    found += [trouble for worker in app.workers if (trouble := _trouble_of(worker))]
    if rates and rates.app.error_percent >= MANY_ERRORS:
        found.append(Trouble("warning", f"{rates.app.error_percent:.0f} % of its requests fail"))
    found += _troubles_of_parts(app) if isinstance(app, AppMetrics) else []
    return sorted(found, key=lambda trouble: trouble.severity != "bad")


def _troubles_of_parts(app: AppMetrics) -> list[Trouble]:
    found = []
    if app.dispatcher.get("starved") and app.dispatcher.get("held"):
        found.append(Trouble("warning", "all workers are full: connections wait"))
    for listener in app.listeners:
        if listener.waiting and listener.limit and listener.waiting >= listener.limit:
            text = f"{listener.address}: {listener.waiting} connections wait in the kernel, and no more can"
            found.append(Trouble("bad", _cut(text)))
    if seconds := app.logs.get("hanging_s", 0):
        found.append(Trouble("bad", f"the disk of its logs has hung for {seconds:.0f} s"))
    return found


def _trouble_of(worker: WorkerEntry) -> Trouble | None:
    if worker.impediment:
        return Trouble("warning", _cut(f"worker {worker.id} {worker.impediment}"))
    if worker.status in SICK_WORKERS:
        why = worker.last_exit if worker.status in ("errored", "backoff") else ""
        return Trouble("warning", _with_exit(f"worker {worker.id} is {worker.status}", why))
    if worker.unstable_restarts and worker.uptime_s < SHAKY_SECONDS:
        times = "once" if worker.unstable_restarts == 1 else f"{worker.unstable_restarts} times"
        return Trouble(
            "warning", _with_exit(f"worker {worker.id} ended {times} soon after its start", worker.last_exit)
        )
    return None


def _worker(worker: WorkerEntry, newest: int, rates: AppRates | None, figures: WorkerFigures | None) -> WorkerView:
    """`newest`: the generation to whose process the rates and figures are put down."""
    own = rates.workers.get(worker.id) if rates and worker.generation == newest else None
    figures = figures if worker.generation == newest else None
    known: dict[str, Any] = {
        name: getattr(worker, name) for name in WorkerView.__struct_fields__ if hasattr(worker, name)
    }
    return WorkerView(
        **known,
        requests_per_s=None if own is None or own.requests is None else round(own.requests, 3),
        busy=figures.busy if figures else None,
        note=_cut("; ".join(filter(None, _notes(worker, figures)))),
    )


def _notes(worker: WorkerEntry, figures: WorkerFigures | None) -> list[str]:
    oldest, lag = (figures.oldest_request_s or 0.0, figures.loop_lag_s or 0.0) if figures else (0.0, 0.0)
    return [
        worker.impediment,
        f"a request has run for {oldest:.0f} s" if oldest >= LONG_REQUEST else "",
        f"its event loop was held for {lag:.1f} s" if lag >= LONG_HOLD else "",
        worker.said,
        f"last exit: {worker.last_exit}" if worker.last_exit else "",
    ]


def _worst(troubles: Sequence[Trouble]) -> Severity:
    return troubles[0].severity if troubles else ""


def _with_exit(text: str, last_exit: str) -> str:
    return _cut(f"{text}: {last_exit}" if last_exit else text)


def _cut(text: str) -> str:
    line = escape_line(text)
    return line if len(line) <= MAX_TEXT_CHARACTERS else line[:MAX_TEXT_CHARACTERS] + "…"
