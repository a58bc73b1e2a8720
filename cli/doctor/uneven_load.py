"""Owns why the workers of an app do not have the same load. Pure; runs in the user's shell.

It looks at the figures of each worker within an interval: CPU, requests, how long they took, connections. In this
order: a worker that gets nothing, clients that are always sent to the same one, a worker that is slow, few connections
that are kept, work that differs. What is not seen is not said.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...supervisor.control.protocol import AppMetrics
from ...supervisor.rates.meter import RateMeter
from .examined_app import ExaminedApp
from .finding import Finding, Severity

CHECK = "spread of load"
STICKY = ("ip-hash",)
# Less than that in the interval is chance, and no load that could be uneven.
FEWEST_REQUESTS = 50
LEAST_CPU = 0.10
# One with so many times the mean of requests answers late because it is busy.
BUSY = 1.5
# A worker is slow whose median request takes so many times that of the others. Medians are known to a factor of two.
SLOW = 4.0
# So many requests for each new connection: they are kept.
KEPT = 10
# With so few connections a worker chance decides how they are spread.
FEW = 4
# One address has so much of the connections: it is a proxy.
MOST_OF_ALL = 0.5


@dataclass(frozen=True)
class WorkerLoad:
    """What one worker did in the interval.

    Attributes:
        cpu: share of one CPU.
        connections: open at the end.
        requests: begun; None: nobody counts them.
        median_ms: of what was answered; None: nothing was, or nobody measures it.
        obstacle: why it gets fewer connections than it could; empty: nothing is in its way.
    """

    id: int
    cpu: float
    connections: int
    requests: int | None
    median_ms: float | None
    obstacle: str = ""


@dataclass(frozen=True)
class AppLoad:
    """What an app did in the interval.

    Attributes:
        new_connections: None: nobody counts them.
        clients: connections by remote host; empty: none is known.
    """

    seconds: float
    balance: str
    workers: Sequence[WorkerLoad]
    new_connections: int | None
    clients: Counter[str]


@dataclass(frozen=True)
class Cause:
    """Why load is uneven."""

    severity: Severity
    meaning: str
    mend: str


def load_of(app: ExaminedApp, clients: Counter[str]) -> AppLoad | None:
    """Return what an app did between the two answers; None: that is not known, or it has a single worker."""
    first, last = app.first.entry, app.last.entry
    if not isinstance(first, AppMetrics) or not isinstance(last, AppMetrics) or len(last.workers) < 2:
        return None
    meter = RateMeter()
    meter.look(first, app.first.at)
    did = meter.look(last, app.last.at)
    if did is None:
        return None
    stayed = {(worker.id, worker.pid) for worker in first.workers if worker.pid}
    loads = [
        WorkerLoad(
            id=worker.id,
            cpu=rates.cpu_percent / 100,
            connections=worker.connections,
            requests=None if rates.requests is None else round(rates.requests * did.seconds),
            median_ms=rates.latency_ms(50),
            obstacle=worker.impediment or ("" if worker.status == "online" else f"is {worker.status}"),
        )
        for worker in last.workers
        if (worker.id, worker.pid) in stayed and (rates := did.workers.get(worker.id))
    ]
    return AppLoad(did.seconds, last.balance, loads, _new_connections(first, last), clients)


def _new_connections(first: AppMetrics, last: AppMetrics) -> int | None:
    counted = [one.dispatcher.get("dispatched") for one in (first, last)]
    return None if None in counted else int(counted[1]) - int(counted[0])  # type: ignore[arg-type]


def find_uneven_load(name: str, load: AppLoad) -> Finding:
    """Say whether the workers of the app `name` have the same load, and if not, why, with the figures."""
    measured = describe(load)
    if len(load.workers) < 2:
        return Finding(check=CHECK, severity="ok", app=name, measured="workers were replaced meanwhile: look again")
    if not _has_load(load):
        return Finding(check=CHECK, severity="ok", app=name, measured=f"too little to be uneven: {measured}")
    if not (_is_uneven([worker.cpu for worker in load.workers]) or _has_uneven_requests(load)):
        return Finding(check=CHECK, severity="ok", app=name, measured=f"even: {measured}")
    cause = cause_of(name, load)
    return Finding(
        check=CHECK, severity=cause.severity, app=name, measured=measured, meaning=cause.meaning, mend=cause.mend
    )


def cause_of(name: str, load: AppLoad) -> Cause:
    """Return why load is uneven."""
    for find in (_obstacle, _sticky, _slow_worker, _few_kept):
        if cause := find(name, load):
            return cause
    return _differing_work(name, load)


def describe(load: AppLoad) -> str:
    """Return the figures of each worker, in the order of their numbers."""
    workers = sorted(load.workers, key=lambda worker: worker.id)
    parts = [f"CPU {', '.join(f'{100 * worker.cpu:.0f} %' for worker in workers)}"]
    if all(worker.requests is not None for worker in workers):
        parts.append(f"requests {', '.join(str(worker.requests) for worker in workers)}")
    if any(worker.median_ms is not None for worker in workers):
        parts.append(f"median {', '.join(_milliseconds(worker.median_ms) for worker in workers)}")
    parts.append(f"open connections {', '.join(str(worker.connections) for worker in workers)}")
    if load.new_connections is not None:
        parts.append(f"new connections {load.new_connections}")
    numbers = ", ".join(str(worker.id) for worker in workers)
    return f"workers {numbers} in {load.seconds:.1f} s: {'; '.join(parts)}"


def _milliseconds(median: float | None) -> str:
    return "-" if median is None else f"{median:.3g} ms"


def _has_load(load: AppLoad) -> bool:
    requests = _requests(load)
    return sum(worker.cpu for worker in load.workers) >= LEAST_CPU or requests >= FEWEST_REQUESTS * len(load.workers)


def _requests(load: AppLoad) -> int:
    return sum(worker.requests or 0 for worker in load.workers)


def _is_uneven(values: Sequence[float]) -> bool:
    mean = sum(values) / len(values)
    return mean > 0 and max(values) - min(values) >= mean


def _has_uneven_requests(load: AppLoad) -> bool:
    counts = [worker.requests for worker in load.workers if worker.requests is not None]
    enough = sum(counts) >= FEWEST_REQUESTS * len(load.workers)
    return len(counts) == len(load.workers) and enough and _is_uneven(counts)


def _obstacle(name: str, load: AppLoad) -> Cause | None:
    held = [worker for worker in load.workers if worker.obstacle]
    if not held:
        return None
    said = "; ".join(f"worker {worker.id} {worker.obstacle}" for worker in held)
    return Cause("warning", f"The others have its share: {said}.", f"fastlb show {name}, fastlb events {name}")


def _sticky(name: str, load: AppLoad) -> Cause | None:
    """Every client has a worker of its own, and few clients do not spread."""
    if load.balance not in STICKY or not _is_uneven_in_connections(load):
        return None
    total = sum(load.clients.values())
    if not total:
        seen = "The clients have no address that could be told apart (a unix socket?)"
    else:
        host, most = load.clients.most_common(1)[0]
        if most > MOST_OF_ALL * total:
            seen = f"{most} of {total} connections come from {host}, as behind a proxy"
        elif len(load.clients) <= FEW * len(load.workers):
            seen = f"There are {len(load.clients)} client addresses for {len(load.workers)} workers"
        else:
            return None
    return Cause(
        "warning",
        f"{seen}, and {load.balance} sends all connections of an address to the same worker.",
        f"fastlb stop {name} && fastlb start {name} --balance least-connections"
        " (an app that needs the same worker again: keep sessions in a store that all workers share)",
    )


def _is_uneven_in_connections(load: AppLoad) -> bool:
    return _is_uneven([worker.connections for worker in load.workers]) or _has_uneven_requests(load)


def _few_kept(name: str, load: AppLoad) -> Cause | None:
    """Connections are kept, so whoever has the busiest ones has the load."""
    if load.new_connections is None or not _are_kept(load):
        return None
    open_now = sum(worker.connections for worker in load.workers)
    uneven = _has_uneven_requests(load) or _is_uneven([worker.connections for worker in load.workers])
    if not uneven:
        return None
    asked = f"had {_requests(load)} requests" if _requests(load) else "carried all that was asked"
    figures = f"{open_now} connection{'s' * (open_now != 1)} {asked}, and {load.new_connections} were new: a connection"
    figures += " stays with its worker"
    if open_now <= FEW * len(load.workers):
        return Cause(
            "warning",
            f"Few connections are kept for long: {figures}, so some workers have more of them than others.",
            f"give the client or proxy more connections, {FEW} a worker at least (nginx: `keepalive"
            f" {8 * len(load.workers)};`), and fastlb stop {name} && fastlb start {name} --balance least-connections",
        )
    return Cause(
        "warning",
        f"Connections are kept for long, and not spread evenly, as after a reload or scale: {figures}.",
        f"fastlb stop {name} && fastlb start {name} --balance least-connections, and let the client or proxy end"
        " connections now and then (nginx: `keepalive_requests`, `keepalive_time`)",
    )


def _are_kept(load: AppLoad) -> bool:
    new = load.new_connections or 0
    if any(worker.requests is None for worker in load.workers):
        return new <= sum(worker.connections for worker in load.workers)
    return _requests(load) >= KEPT * max(new, 1)


def _slow_worker(name: str, load: AppLoad) -> Cause | None:
    known = [worker for worker in load.workers if worker.median_ms is not None]
    if len(known) < 2:
        return None
    slowest = max(known, key=lambda worker: worker.median_ms or 0.0)
    others = sorted(worker.median_ms or 0.0 for worker in known if worker is not slowest)
    usual = others[len(others) // 2]
    # One that has more to do than the others answers later, and is no slower.
    is_busiest = _requests(load) < len(load.workers) * (slowest.requests or 0) / BUSY
    if (slowest.median_ms or 0.0) < SLOW * usual or is_busiest:
        return None
    return Cause(
        "warning",
        f"Worker {slowest.id} is slow: its median request takes {_milliseconds(slowest.median_ms)}, that of the"
        f" others {_milliseconds(usual)}.",
        f"fastlb trigger {name} stacks --worker {slowest.id} says where it stands; fastlb reload {name} replaces it",
    )


def _differing_work(name: str, load: AppLoad) -> Cause:
    busiest = max(load.workers, key=lambda worker: worker.cpu)
    if _requests(load) and not _has_uneven_requests(load):
        costs = [1000 * worker.cpu * load.seconds / worker.requests for worker in load.workers if worker.requests]
        return Cause(
            "note",
            f"Requests are spread evenly, and cost {min(costs):.2g} to {max(costs):.2g} ms of CPU each: the work"
            " differs. Connections cannot even that out, as nobody knows before what a request will cost.",
            f"fastlb trigger {name} profile 10 --worker {busiest.id} says what is expensive; what is much dearer than"
            " the rest is best an app of its own",
        )
    profile = "cpuprofile" if any(worker.requests is None for worker in load.workers) else "profile"
    return Cause(
        "note",
        "Connections are spread evenly, so the work of each differs, or a worker is slow: these figures do not tell.",
        f"fastlb trigger {name} {profile} 10 --worker {busiest.id} says what worker {busiest.id} does",
    )
