"""Owns what the tables of apps and workers hold: which columns, and how a figure is written. Pure.

Runs in the user's shell. Scripts read the table of instances by the place of its columns, and look for words in it:
`id` and `name` come first, and no title has the word "restart".
"""

from collections.abc import Sequence

from ..supervisor.control.protocol import AppEntry, WorkerEntry
from .instances import Instance
from .output import Column, Table

APP_COLUMNS = (
    Column("id", "number", 7),
    Column("name", "name"),
    Column("status", "status"),
    Column("mode", dispensable=6),
    Column("workers", "number", short="up"),
    Column("pid", "number", 5),
    Column("uptime", "number", 3, short="age"),
    Column("restarts", "number", 1, short="rst"),
    Column("conns", "number", 4, short="con"),
    Column("requests", "number", 2, short="reqs"),
    Column("cpu", "number"),
    Column("memory", "number", short="mem"),
    Column("listens on"),
)
WORKER_COLUMNS = (
    Column("id", "number", 3),
    Column("worker", "number", short="no"),
    Column("pid", "number"),
    Column("status", "status"),
    Column("gen", "number", 1),
    Column("uptime", "number", short="age"),
    Column("restarts", "number", short="rst"),
    Column("conns", "number", short="con"),
    Column("requests", "number", short="reqs"),
    Column("errors", "number", 2, short="errs"),
    Column("p50", "number", 5),
    Column("p99", "number", 4),
    Column("CPU", "number"),
    Column("RSS", "number"),
)
INSTANCE_COLUMNS = (
    Column("id"),
    Column("name", "name"),
    Column("mode", dispensable=1),
    Column("rst", "number"),
    Column("status", "status"),
    Column("cpu", "number"),
    Column("memory", "number", short="mem"),
    Column("uptime", "number", short="age"),
    Column("pid", "number", 2),
    Column("conns", "number", 3, short="con"),
    Column("requests", "number", 4, short="reqs"),
    Column("listens on", dispensable=5),
    Column("note", dispensable=6),
)
NOTHING = "-"


def app_table(apps: Sequence[AppEntry]) -> Table:
    """Return one row an app; figures of the workers are summed."""
    return Table(APP_COLUMNS, [_app_row(app) for app in apps])


def worker_table(workers: Sequence[WorkerEntry]) -> Table:
    """Return one row a worker."""
    return Table(WORKER_COLUMNS, [_worker_row(worker) for worker in workers])


def instance_table(instances: Sequence[Instance]) -> Table:
    """Return one row a worker, of any app."""
    return Table(INSTANCE_COLUMNS, [_instance_row(instance) for instance in instances])


def _instance_row(instance: Instance) -> list[str]:
    worker = instance.worker
    figures = [NOTHING] * 6
    if worker and worker.pid:
        figures = [
            format_percent(worker.cpu_percent),
            format_memory(worker.rss_bytes),
            format_uptime(worker.uptime_s),
            str(worker.pid),
            str(worker.connections),
            format_requests([worker.requests]),
        ]
    restarts = worker.restarts if worker else 0
    about = [str(instance.pm_id), instance.app.name, instance.app.mode, str(restarts), instance.status]
    return [*about, *figures, ",".join(instance.app.binds) or NOTHING, _note(restarts, worker)]


def _note(restarts: int, worker: WorkerEntry | None) -> str:
    if not restarts:
        return ""
    times = "once" if restarts == 1 else f"{restarts} times"
    reason = f": {worker.last_exit}" if worker and worker.last_exit else ""
    return f"restarted {times}{reason}"


def format_ids(ids: Sequence[int]) -> str:
    """Return numbers in short: `0-3`, `0,2-4`; `-`: none."""
    parts: list[list[int]] = []
    for number in sorted(ids):
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    texts = [str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts]
    return ",".join(texts) or NOTHING


def _app_row(app: AppEntry) -> list[str]:
    workers = app.workers
    if app.pid is None:
        figures = [NOTHING] * 8
    else:
        figures = [
            f"{sum(worker.status == 'online' for worker in workers)}/{len(workers)}{_mode(app)}",
            str(app.pid),
            format_uptime(app.uptime_s),
            str(app.restarts),
            str(sum(worker.connections for worker in workers)),
            format_requests([worker.requests for worker in workers]),
            format_percent(sum(worker.cpu_percent for worker in workers)),
            format_memory(sum(worker.rss_bytes for worker in workers)),
        ]
    return [format_ids(app.pm_ids), app.name, app.status, app.mode, *figures, " ".join(app.binds)]


def _worker_row(worker: WorkerEntry) -> list[str]:
    return [
        NOTHING if worker.pm_id is None else str(worker.pm_id),
        str(worker.id),
        NOTHING if worker.pid is None else str(worker.pid),
        worker.status,
        str(worker.generation),
        format_uptime(worker.uptime_s),
        str(worker.restarts),
        str(worker.connections),
        format_requests([worker.requests]),
        str(worker.errors),
        format_latency(worker.p50_ms),
        format_latency(worker.p99_ms),
        format_percent(worker.cpu_percent),
        format_memory(worker.rss_bytes),
    ]


def format_latency(milliseconds: float | None) -> str:
    """Return it with two digits or so: `0.4ms`, `12ms`, `1.5s`; `-`: nobody knows."""
    if milliseconds is None:
        return NOTHING
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f}s"
    return f"{milliseconds:.0f}ms" if milliseconds >= 9.95 else f"{milliseconds:.1f}ms"


def _mode(app: AppEntry) -> str:
    """Return who says how many there are, and the mark of alerts that are on: how many."""
    scaled = f" {app.autoscaling.mode}" if app.autoscaling else ""
    return f"{scaled} !{len(app.alerts)}" if app.alerts else scaled


def url_of(binds: Sequence[str], *, is_tls: bool) -> str:
    """Return where a browser on this machine finds the app; empty: at no TCP port."""
    for bind in binds:
        host, _, port = bind.removeprefix("http://").rpartition(":")
        if port.isdigit() and not bind.startswith(("unix:", "fd:")):
            here = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "[::]": "localhost"}.get(host, host)
            return f"http{'s' if is_tls else ''}://{here}:{port}"
    return ""


def format_requests(counts: Sequence[int | None]) -> str:
    """Return the sum; `-` where nobody counts requests: in Node workers."""
    known = [count for count in counts if count is not None]
    return str(sum(known)) if known or not counts else NOTHING


def format_uptime(seconds: float) -> str:
    """Return the two largest units: `45s`, `12m3s`, `5h10m`, `3d4h`."""
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next((at for at, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return "".join(f"{count}{unit}" for count, unit in parts[first : first + 2] if count) or "0s"


def format_memory(size_bytes: int) -> str:
    """Return the size with three digits or so: `850K`, `41.3M`, `1.2G`."""
    for unit, shift in (("G", 30), ("M", 20)):
        if size_bytes >= 1 << shift:
            return f"{size_bytes / (1 << shift):.1f}{unit}"
    return f"{size_bytes >> 10}K"


def format_percent(percent: float) -> str:
    """Return a share of one CPU: `12%`, `250%`."""
    return f"{percent:.0f}%"
