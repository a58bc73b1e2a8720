"""Owns what the tables of `top` and `monit` hold: figures of `list`, and what was done a second. Pure; the shell."""

from ...supervisor.rates.meter import Rates
from ..app_table import NOTHING, format_latency, format_memory, format_percent, format_uptime
from ..output import Column, Table
from .history import AppHistory

APP_COLUMNS = (
    Column("name", "name"),
    Column("status", "status"),
    Column("workers", "number", short="up"),
    Column("req/s", "number"),
    Column("err/s", "number"),
    Column("p50", "number", 3),
    Column("p99", "number", 2),
    Column("conns", "number", 1, short="con"),
    Column("cpu", "number"),
    Column("memory", "number", short="mem"),
    Column("restarts", "number", 4, short="rst"),
    Column("uptime", "number", 5, short="age"),
)
WORKER_COLUMNS = (
    Column("worker", "number", short="no"),
    Column("pid", "number", 1),
    Column("status", "status"),
    Column("req/s", "number"),
    Column("err/s", "number"),
    Column("p50", "number", 3),
    Column("p99", "number", 2),
    Column("conns", "number", short="con"),
    Column("cpu", "number"),
    Column("memory", "number", short="mem"),
    Column("restarts", "number", 4, short="rst"),
    Column("uptime", "number", 5, short="age"),
)


def app_rows(apps: list[AppHistory]) -> Table:
    """Return one row an app."""
    return Table(APP_COLUMNS, [_app_row(app) for app in apps])


def worker_rows(app: AppHistory) -> Table:
    """Return one row for each process of an app's workers."""
    return Table(WORKER_COLUMNS, _worker_rows(app))


def format_rate(rate: float | None) -> str:
    """Return events a second with two digits or more: `0.3`, `12`, `15.2k`; `-`: nobody knows."""
    if rate is None:
        return NOTHING
    if rate >= 10_000:
        return f"{rate / 1000:.1f}k"
    return f"{rate:.0f}" if rate >= 9.95 or rate == 0 else f"{rate:.1f}"


def _done(rates: Rates | None) -> list[str]:
    if rates is None:
        return [NOTHING] * 4
    errors = None if rates.requests is None else rates.errors
    percentiles = (format_latency(rates.latency_ms(percent)) for percent in (50, 99))
    return [format_rate(rates.requests), format_rate(errors), *percentiles]


def _app_row(app: AppHistory) -> list[str]:
    entry = app.entry
    if entry.pid is None:
        return [entry.name, entry.status, *[NOTHING] * (len(APP_COLUMNS) - 2)]
    rates = app.rates.app if app.rates else None
    return [
        entry.name,
        entry.status,
        f"{sum(worker.status == 'online' for worker in entry.workers)}/{len(entry.workers)}",
        *_done(rates),
        str(sum(worker.connections for worker in entry.workers)),
        format_percent(rates.cpu_percent if rates else sum(worker.cpu_percent for worker in entry.workers)),
        format_memory(sum(worker.rss_bytes for worker in entry.workers)),
        str(entry.restarts),
        format_uptime(entry.uptime_s),
    ]


def _worker_rows(app: AppHistory) -> list[list[str]]:
    newest = {worker.id: worker for worker in sorted(app.entry.workers, key=lambda worker: worker.generation)}
    rows = []
    for number, worker in sorted(newest.items()):
        rates = app.rates.workers.get(number) if app.rates else None
        row = [str(number), NOTHING if worker.pid is None else str(worker.pid), worker.status, *_done(rates)]
        row += [str(worker.connections), format_percent(rates.cpu_percent if rates else worker.cpu_percent)]
        rows.append([*row, format_memory(worker.rss_bytes), str(worker.restarts), format_uptime(worker.uptime_s)])
    return rows


