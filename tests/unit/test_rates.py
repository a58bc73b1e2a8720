"""What an app did a second is what came to its counters between two looks, whatever became of its processes."""

from typing import Any

import pytest
from fastlb.supervisor.control.protocol import AppMetrics, WorkerEntry, WorkerFigures
from fastlb.supervisor.rates.meter import AppRates, RateMeter

BUCKETS = 32


def worker(number: int = 0, **figures: Any) -> WorkerEntry:
    usual: dict[str, Any] = {"pid": 7, "status": "online", "uptime_s": 1.0, "restarts": 0, "connections": 2}
    return WorkerEntry(id=number, rss_bytes=100, cpu_percent=0.0, **(usual | {"requests": 0} | figures))


def app(*workers: WorkerEntry, cpu_seconds: float = 0.0, ended: int = 0, **other: Any) -> AppMetrics:
    histogram = [ended if bucket == 14 else 0 for bucket in range(BUCKETS)]  # 8 to 16 ms
    figures = [WorkerFigures(one.id, cpu_seconds, histogram) for one in workers]
    usual: dict[str, Any] = {"name": "shop", "status": "online", "pid": 1, "uptime_s": 1.0, "restarts": 0, "binds": []}
    usual |= {"balance": "", "dispatcher": {}, "logs": {}, "max_memory_bytes": 0, "started_at": "now"}
    return AppMetrics(workers=list(workers), figures=figures, **(usual | other))


def between(before: AppMetrics, after: AppMetrics, seconds: float = 2.0) -> AppRates | None:
    meter = RateMeter()
    assert meter.look(before, 100.0) is None
    return meter.look(after, 100.0 + seconds)


def test_counters_become_rates() -> None:
    before = app(worker(requests=10, errors=1), cpu_seconds=1.0, ended=10, dispatcher={"accepted": 5})
    after = app(worker(requests=30, errors=6), cpu_seconds=1.5, ended=30, dispatcher={"accepted": 9})
    rates = between(before, after)
    assert rates is not None
    assert (rates.seconds, rates.accepted) == (2.0, 2.0)
    for found in (rates.app, rates.workers[0]):
        assert (found.requests, found.errors, found.cpu_percent) == (10.0, 2.5, 25.0)
        assert (found.error_percent, found.connections, found.memory_bytes) == (25.0, 2, 100)
        assert sum(found.latency_us) == 20
        assert 8 <= (found.latency_ms(50) or 0) <= 16


@pytest.mark.parametrize("other", [{"pid": 2}, {"started_at": "later"}])
def test_another_supervisor_counts_anew(other: dict[str, Any]) -> None:
    assert between(app(worker(requests=10)), app(worker(requests=3), **other)) is None


def test_new_process_of_a_worker_has_used_all_of_its_cpu_time_since() -> None:
    rates = between(app(worker(), cpu_seconds=50.0), app(worker(pid=8), cpu_seconds=0.5))
    assert rates is not None
    assert rates.app.cpu_percent == 25.0


def test_reload_counts_both_processes_of_a_worker() -> None:
    during = app(worker(requests=6), worker(requests=8, generation=2, pid=8))
    rates = between(app(worker(requests=10)), during)
    assert rates is not None
    assert (rates.app.requests, rates.app.connections) == (2.0, 4)


def test_what_falls_has_done_nothing() -> None:
    rates = between(app(worker(requests=10, errors=5), ended=9), app(worker(requests=4, errors=0), ended=2))
    assert rates is not None
    assert (rates.app.requests, rates.app.errors, sum(rates.app.latency_us)) == (0.0, 0.0, 0)


def test_new_worker_has_no_rates_until_it_was_looked_at_twice() -> None:
    rates = between(app(worker()), app(worker(requests=4), worker(1, requests=900)))
    assert rates is not None
    assert [*rates.workers] == [0]
    assert rates.app.requests == 2.0
    assert rates.app.connections == 4


def test_requests_that_nobody_counts_are_none() -> None:
    rates = between(app(worker(requests=None)), app(worker(requests=None)))
    assert rates is not None
    assert rates.app.requests is None
    assert rates.app.latency_ms(50) is None
    assert rates.accepted is None
