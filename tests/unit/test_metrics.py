"""How figures become metrics: histograms of pages, workers that have two processes, text that could break lines."""

from typing import Any

import pytest
from fastlb.cli.metrics.exposition import cumulative_buckets, metrics_text
from fastlb.supervisor.control.protocol import AppEntry, AppMetrics, WorkerEntry, WorkerFigures
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

BUCKETS = 32


def worker(generation: int, **figures: Any) -> WorkerEntry:
    usual: dict[str, Any] = {"pid": 7, "status": "online", "uptime_s": 1.0, "restarts": 0, "connections": 2}
    return WorkerEntry(id=0, generation=generation, rss_bytes=100, cpu_percent=0.0, **(usual | figures))


def app(*workers: WorkerEntry, figures: tuple[WorkerFigures, ...] = (), **other: Any) -> AppMetrics:
    usual: dict[str, Any] = {"name": "shop", "status": "online", "pid": 1, "uptime_s": 1.0, "restarts": 0, "binds": []}
    usual |= {"balance": "", "dispatcher": {}, "logs": {}, "max_memory_bytes": 0}
    return AppMetrics(workers=list(workers), figures=list(figures), **(usual | other))


def families(*apps: AppEntry) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(metrics_text(apps).decode())}


def values(family: Metric) -> list[float]:
    return [sample.value for sample in family.samples]


@pytest.mark.parametrize(
    ("bucket", "bound"),
    [(0, "0.000256"), (8, "0.000256"), (9, "0.000512"), (20, "1.048576"), (27, "+Inf"), (31, "+Inf")],
)
def test_request_is_in_every_bucket_from_its_own_on(bucket: int, bound: str) -> None:
    latency_us = [int(number == bucket) for number in range(BUCKETS)]
    buckets = cumulative_buckets(latency_us)
    assert next(name for name, count in buckets if count) == bound
    assert [count for _, count in buckets] == sorted(count for _, count in buckets)
    assert buckets[-1] == ("+Inf", 1.0)


def test_worker_with_two_processes_is_one_series() -> None:
    members = (worker(1, requests=5, errors=1), worker(2, requests=3, restarts=4))
    found = families(app(*members, figures=(WorkerFigures(0, 1.5, [0] * BUCKETS),)))
    assert values(found["fastlb_worker_requests"]) == [8]
    assert values(found["fastlb_worker_request_errors"]) == [1]
    assert values(found["fastlb_worker_open_connections"]) == [4]
    assert values(found["fastlb_worker_resident_memory_bytes"]) == [200]
    assert values(found["fastlb_worker_restarts"]) == [4]
    assert values(found["fastlb_worker_generation"]) == [2]
    assert values(found["fastlb_worker_cpu_seconds"]) == [1.5]


def test_figures_of_logs_and_dispatcher() -> None:
    logs = {"lost_lines": {"a": 2, "b": 3}, "waiting_bytes": 9}
    found = families(app(logs=logs, dispatcher={"accepted": 12, "starved": True, "replaced": 0}))
    assert values(found["fastlb_log_lost_lines"]) == [5]
    assert values(found["fastlb_log_waiting_bytes"]) == [9]
    assert values(found["fastlb_dispatcher_accepted_connections"]) == [12]
    assert values(found["fastlb_dispatcher_starved"]) == [1]
    assert values(found["fastlb_dispatcher_held_connections"]) == []


def test_text_of_others_breaks_no_line() -> None:
    found = families(app(namespace='a"b\\c\nd'))
    assert [sample.labels["namespace"] for sample in found["fastlb_app"].samples] == ['a"b\\c\nd']
