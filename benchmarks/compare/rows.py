"""Owns the rows of the comparison: what is served, by whom, under which load, and what we promise."""

from collections.abc import Callable

import msgspec

from .loads import Load, counted, keep_alive, new_connections, uneven
from .servers import Service

CLIENTS = 32


class Medians(msgspec.Struct, frozen=True):
    """Medians of one server in one row. `balancer_us`: CPU of supervisor and dispatcher per request."""

    per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    failed: int
    balancer_us: float = 0.0


Promise = Callable[[Medians, float], bool]


class Row(msgspec.Struct, frozen=True):
    """One row.

    Attributes:
        servers: ours first; the second is what ratios are against.
        load: makes the load for so many seconds.
        budget: what we promise, in words.
        is_kept: the promise, given our medians and the median of the pairs' ratios of throughput to the second.
    """

    key: str
    title: str
    service: Service
    servers: tuple[str, ...]
    load: Callable[[float], Load]
    budget: str
    is_kept: Promise


def throughput_at_least(least: float) -> Promise:
    """Return the promise of so many times the other's throughput."""
    return lambda ours, ratio: ratio >= least


ASGI = Service(app="hello_asgi")
WSGI = Service(app="hello_wsgi", interface="wsgi", threads=8)
MODEL = Service(app="model_wsgi", interface="wsgi", workers=12)

ROWS = (
    Row(
        key="asgi-keep-alive",
        title="ASGI hello, keep-alive, 2 workers",
        service=ASGI,
        servers=("fastlb", "uvicorn", "granian", "gunicorn"),
        load=lambda seconds: keep_alive(CLIENTS, seconds),
        budget=">= 1.0 x uvicorn, never below 0.97",
        is_kept=throughput_at_least(0.97),
    ),
    Row(
        key="asgi-new-connections",
        title="ASGI hello, new connection per request, 2 workers",
        service=ASGI,
        servers=("fastlb", "uvicorn", "granian", "gunicorn"),
        load=lambda seconds: new_connections(CLIENTS, seconds),
        budget=">= 1.0 x uvicorn",
        is_kept=throughput_at_least(1.0),
    ),
    Row(
        key="asgi-uneven",
        title="uneven work: one client blocks 50 ms at a time, 15 others on new connections",
        service=ASGI,
        servers=("fastlb", "uvicorn", "granian", "gunicorn"),
        load=uneven,
        budget="p99 of the 15 <= 10 ms",
        is_kept=lambda ours, ratio: ours.p99_ms <= 10,
    ),
    Row(
        key="wsgi-keep-alive",
        title="WSGI hello, keep-alive, 2 workers of 8 threads",
        service=WSGI,
        servers=("fastlb", "gunicorn", "granian"),
        load=lambda seconds: keep_alive(CLIENTS, seconds),
        budget=">= 4 x gunicorn",
        is_kept=throughput_at_least(4.0),
    ),
    Row(
        key="wsgi-new-connections",
        title="WSGI hello, new connection per request, 2 workers of 8 threads",
        service=WSGI,
        servers=("fastlb", "gunicorn", "granian"),
        load=lambda seconds: new_connections(CLIENTS, seconds),
        budget="none",
        is_kept=lambda ours, ratio: True,
    ),
    Row(
        key="model",
        title="12 workers, one request of 8.33 ms at a time, ab -n 2000 -c 20",
        service=MODEL,
        servers=("fastlb", "gunicorn"),
        load=lambda seconds: counted(2000, 20),
        budget=">= 1,380/s, p99 <= 18 ms",
        is_kept=lambda ours, ratio: ours.per_second >= 1380 and ours.p99_ms <= 18,
    ),
)
