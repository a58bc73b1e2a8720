"""Owns the rows of the comparison: what is served, by whom, under which load, and what we promise."""

from collections.abc import Callable

import msgspec

from .loads import Load, counted, keep_alive, new_connections, uneven
from .node_servers import PM2_VERSION
from .running import Service
from .servers import OURS

CLIENTS = 32


class Medians(msgspec.Struct, frozen=True):
    """Medians of one server in one row.

    Attributes:
        balancer_us: CPU of the processes that only distribute, per request.
        stranded_per_block: as in Measured.
    """

    per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    failed: int
    balancer_us: float = 0.0
    stranded_per_block: float | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What came of a row.

    Attributes:
        medians: of each server that was there.
        ratios: for each other server the median of the pairs' ratios of our throughput to its.
    """

    medians: dict[str, Medians]
    ratios: dict[str, float]

    @property
    def ours(self) -> Medians:
        """Our own medians."""
        return self.medians[OURS]


Promise = Callable[[Outcome], bool]


class Row(msgspec.Struct, frozen=True):
    """One row.

    Attributes:
        servers: ours first.
        load: makes the load for so many seconds.
        budget: what we promise, in words.
        is_kept: the promise.
        against: those that the promise compares us with; without them it is not judged.
    """

    key: str
    title: str
    service: Service
    servers: tuple[str, ...]
    load: Callable[[float], Load]
    budget: str
    is_kept: Promise
    against: tuple[str, ...] = ()


def throughput_at_least(least: float, *others: str) -> Promise:
    """Return the promise of so many times the throughput of each of these."""
    return lambda outcome: all(outcome.ratios[name] >= least for name in others)


def faster_and_cheaper(least: float, *others: str) -> Promise:
    """Return the promise of so many times their throughput with less CPU per request."""
    is_faster = throughput_at_least(least, *others)
    return lambda outcome: (
        is_faster(outcome) and all(outcome.ours.cpu_us < outcome.medians[name].cpu_us for name in others)
    )


def holds_the_model(outcome: Outcome) -> bool:
    """The promise of the rows with twelve workers that serve one request at a time."""
    return outcome.ours.per_second >= 1380 and outcome.ours.p99_ms <= 18


def strands_at_most(most: float, *others: str) -> Promise:
    """Return the promise of so many stranded requests a block, and no more than each of these has."""
    return lambda outcome: all(
        (outcome.ours.stranded_per_block or 0.0) <= bound
        for bound in (most, *(outcome.medians[name].stranded_per_block or 0.0 for name in others))
    )


ASGI = Service(app="hello_asgi")
ASGI_LEAST = Service(app="hello_asgi", balance="least-connections")
ASGI_LOGGED = Service(app="hello_asgi", access_log=True)
WSGI = Service(app="hello_wsgi", interface="wsgi", threads=8)
WSGI_DEFAULT = Service(app="hello_wsgi", interface="wsgi")
WSGI_ALONE = Service(app="hello_wsgi", interface="wsgi", workers=1)
MODEL = Service(app="model_wsgi", interface="wsgi", workers=12)
NODE = Service(app="node_hello.js", interface="node")
NODE_LEAST = Service(app="node_hello.js", interface="node", balance="least-connections")
NODE_MODEL = Service(app="node_model.js", interface="node", workers=12)
FASTAPI = Service(app="bench_fastapi:app")
STARLETTE = Service(app="bench_starlette:app")
FLASK = Service(app="bench_flask:app", interface="wsgi", threads=8)
DJANGO = Service(app="bench_django:app", interface="wsgi", threads=8)
NODE_SERVERS = (OURS, "node-cluster", "pm2")

ASGI_SERVERS = (OURS, "uvicorn", "granian", "gunicorn")


def uneven_row(key: str, service: Service, workers: str, most: float = 0.5) -> Row:
    """Return a row with the load `uneven`; `most`: stranded requests a block that we promise.

    With Node it is one more: Node itself accepts another connection in the turn that blocks.
    """
    peer = "node-cluster" if service.interface == "node" else "uvicorn"
    return Row(
        key=key,
        title=f"uneven work: one client blocks 50 ms at a time, 15 others, all on new connections; {workers}",
        service=service,
        servers=NODE_SERVERS if service.interface == "node" else ASGI_SERVERS,
        load=uneven,
        budget=f"<= {most:g} stranded a block, and no more than {peer}",
        is_kept=strands_at_most(most, peer),
        against=(peer,),
    )


def framework_row(key: str, title: str, service: Service) -> Row:
    """Return a row with keep-alive connections to an app of a framework, in which we are to be ahead of all."""
    others = ("uvicorn", "granian") if service.interface == "asgi" else ("gunicorn", "granian")
    return Row(
        key=key,
        title=f"{title}, keep-alive, 2 workers",
        service=service,
        servers=(OURS, *others),
        load=lambda seconds: keep_alive(CLIENTS, seconds),
        budget=f">= 1.0 x {others[0]} and {others[1]}",
        is_kept=throughput_at_least(1.0, *others),
        against=others,
    )


ROWS = (
    Row(
        key="asgi-keep-alive",
        title="ASGI hello, keep-alive, 2 workers",
        service=ASGI,
        servers=("fastlb", "uvicorn", "granian", "gunicorn"),
        load=lambda seconds: keep_alive(CLIENTS, seconds),
        budget=">= 1.0 x uvicorn, never below 0.97",
        is_kept=throughput_at_least(0.97, "uvicorn"),
        against=("uvicorn",),
    ),
    Row(
        key="asgi-new-connections",
        title="ASGI hello, new connection per request, 2 workers",
        service=ASGI,
        servers=("fastlb", "uvicorn", "granian", "gunicorn"),
        load=lambda seconds: new_connections(CLIENTS, seconds),
        budget=">= 1.0 x uvicorn",
        is_kept=throughput_at_least(1.0, "uvicorn"),
        against=("uvicorn",),
    ),
    uneven_row("asgi-uneven", ASGI, "2 workers"),
    uneven_row("asgi-uneven-least", ASGI_LEAST, "2 workers, least-connections"),
    uneven_row("asgi-uneven-4", msgspec.structs.replace(ASGI, workers=4), "4 workers"),
    uneven_row("asgi-uneven-4-least", msgspec.structs.replace(ASGI_LEAST, workers=4), "4 workers, least-connections"),
    uneven_row("node-uneven", NODE, f"2 Node workers (PM2 {PM2_VERSION})", most=1.0),
    uneven_row("node-uneven-least", NODE_LEAST, "2 Node workers, least-connections", most=1.0),
    Row(
        key="asgi-logged",
        title="ASGI hello, keep-alive, 2 workers, access log on for all",
        service=ASGI_LOGGED,
        servers=("fastlb", "uvicorn", "granian", "gunicorn"),
        load=lambda seconds: keep_alive(CLIENTS, seconds),
        budget=">= 1.0 x uvicorn",
        is_kept=throughput_at_least(1.0, "uvicorn"),
        against=("uvicorn",),
    ),
    Row(
        key="wsgi-keep-alive",
        title="WSGI hello, keep-alive, 2 workers of 8 threads",
        service=WSGI,
        servers=("fastlb", "gunicorn", "granian"),
        load=lambda seconds: keep_alive(CLIENTS, seconds),
        budget=">= 4 x gunicorn",
        is_kept=throughput_at_least(4.0, "gunicorn"),
        against=("gunicorn",),
    ),
    Row(
        key="wsgi-new-connections",
        title="WSGI hello, new connection per request, 2 workers of 8 threads",
        service=WSGI,
        servers=("fastlb", "gunicorn", "granian"),
        load=lambda seconds: new_connections(CLIENTS, seconds),
        budget="none",
        is_kept=lambda outcome: True,
    ),
    Row(
        key="wsgi-default-keep-alive",
        title="WSGI hello, keep-alive, 2 workers, one thread: our default",
        service=WSGI_DEFAULT,
        servers=("fastlb", "gunicorn", "granian"),
        load=lambda seconds: keep_alive(CLIENTS, seconds),
        budget="none (gunicorn's sync worker closes every connection)",
        is_kept=lambda outcome: True,
    ),
    Row(
        key="wsgi-default-new-connections",
        title="WSGI hello, new connection per request, 2 workers, one thread: our default",
        service=WSGI_DEFAULT,
        servers=("fastlb", "gunicorn", "granian"),
        load=lambda seconds: new_connections(CLIENTS, seconds),
        budget=">= 1.0 x gunicorn",
        is_kept=throughput_at_least(1.0, "gunicorn"),
        against=("gunicorn",),
    ),
    Row(
        key="wsgi-alone-new-connections",
        title="WSGI hello, new connection per request, 1 worker, one thread",
        service=WSGI_ALONE,
        servers=("fastlb", "gunicorn", "granian"),
        load=lambda seconds: new_connections(CLIENTS, seconds),
        budget=">= 1.0 x gunicorn",
        is_kept=throughput_at_least(1.0, "gunicorn"),
        against=("gunicorn",),
    ),
    framework_row("fastapi", "FastAPI, an endpoint with a model", FASTAPI),
    framework_row("starlette", "Starlette, JSON", STARLETTE),
    framework_row("flask", "Flask hello, 8 threads", FLASK),
    framework_row("django", "Django hello, 8 threads", DJANGO),
    Row(
        key="model",
        title="12 workers, one request of 8.33 ms at a time, ab -n 2000 -c 20",
        service=MODEL,
        servers=("fastlb", "gunicorn"),
        load=lambda seconds: counted(2000, 20),
        budget=">= 1,380/s, p99 <= 18 ms",
        is_kept=holds_the_model,
    ),
    Row(
        key="node-keep-alive",
        title=f"Node hello, keep-alive, 2 workers (PM2 {PM2_VERSION})",
        service=NODE,
        servers=NODE_SERVERS,
        load=lambda seconds: keep_alive(CLIENTS, seconds),
        budget=">= 0.97 x Node's cluster, > 1.0 x PM2",
        is_kept=lambda outcome: outcome.ratios["node-cluster"] >= 0.97 and outcome.ratios["pm2"] > 1.0,
        against=("node-cluster", "pm2"),
    ),
    Row(
        key="node-new-connections",
        title=f"Node hello, new connection per request, 2 workers (PM2 {PM2_VERSION})",
        service=NODE,
        servers=NODE_SERVERS,
        load=lambda seconds: new_connections(CLIENTS, seconds),
        budget=">= 1.2 x Node's cluster and PM2, with less CPU a connection",
        is_kept=faster_and_cheaper(1.2, "node-cluster", "pm2"),
        against=("node-cluster", "pm2"),
    ),
    Row(
        key="node-model",
        title=f"Node: 12 workers, one request of 8.33 ms at a time, ab -n 2000 -c 20 (PM2 {PM2_VERSION})",
        service=NODE_MODEL,
        servers=NODE_SERVERS,
        load=lambda seconds: counted(2000, 20),
        budget=">= 1,380/s, p99 <= 18 ms",
        is_kept=holds_the_model,
    ),
)
