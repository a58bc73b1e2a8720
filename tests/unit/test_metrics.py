"""How figures become metrics: histograms of pages, workers that have two processes, text that could break lines."""

from collections.abc import Iterable
from typing import Any

import pytest
from fastlb.supervisor.control.protocol import (
    AppEntry,
    AppMetrics,
    EventCounts,
    ListenerFigures,
    WorkerEntry,
    WorkerFigures,
)
from fastlb.supervisor.limits.judge import Allowance, Used, judge
from fastlb.supervisor.metrics.exposition import metrics_text
from fastlb.supervisor.metrics.families import BUCKET_EXPONENTS, cumulative_buckets
from fastlb.supervisor.output.event_tally import EventTally
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry

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
    [(0, 256e-6), (8, 256e-6), (9, 512e-6), (20, 1.048576), (27, None), (31, None)],
)
def test_request_is_in_every_bucket_from_its_own_on(bucket: int, bound: float | None) -> None:
    latency_us = [int(number == bucket) for number in range(BUCKETS)]
    counts = cumulative_buckets(latency_us)
    bounds = [*(2**exponent / 1e6 for exponent in BUCKET_EXPONENTS), None]
    assert next(name for name, count in zip(bounds, counts, strict=True) if count) == bound
    assert counts == sorted(counts)
    assert counts[-1] == 1.0


def test_histogram_has_its_sum() -> None:
    figures = WorkerFigures(0, 1.5, [int(bucket == 11) for bucket in range(BUCKETS)], latency_sum_us=1500)
    family = families(app(worker(1, requests=1), figures=(figures,)))["fastlb_worker_request_duration_seconds"]
    found = {sample.name.rpartition("_")[2]: sample.value for sample in family.samples}
    assert found == {"bucket": 1, "count": 1, "sum": 0.0015}


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
    logs = {"lost_lines": {"a": 2, "b": 3}, "waiting_bytes": 9, "dropped_now": 1}
    found = families(app(logs=logs, dispatcher={"accepted": 12, "starved": True, "replaced": 0}))
    assert values(found["fastlb_log_lost_lines"]) == [6]
    assert values(found["fastlb_log_waiting_bytes"]) == [9]
    assert values(found["fastlb_dispatcher_accepted_connections"]) == [12]
    assert values(found["fastlb_dispatcher_starved"]) == [1]
    assert values(found["fastlb_dispatcher_held_connections"]) == []


def test_text_of_others_breaks_no_line() -> None:
    found = families(app(namespace='a"b\\c\nd'))
    assert [sample.labels["namespace"] for sample in found["fastlb_app"].samples] == ['a"b\\c\nd']


def test_figures_of_listeners_and_of_the_machine() -> None:
    tcp = ListenerFigures(address="*:80", accepted=7, errors=0, waiting=3, limit=128, dropped=2)
    apps = [app(listeners=[tcp, ListenerFigures(address="unix:/run/a", accepted=1, errors=0)])]
    text = metrics_text(apps, {"ListenOverflows": 4}).decode()
    found = {family.name: family for family in text_string_to_metric_families(text)}
    assert values(found["fastlb_listener_accepted_connections"]) == [7, 1]
    assert values(found["fastlb_listener_accept_queue_connections"]) == [3]
    assert values(found["fastlb_listener_dropped_connections"]) == [2]
    assert values(found["fastlb_host_listen_overflows"]) == [4]
    assert values(found["fastlb_host_listen_drops"]) == []


def tally_of(*events: tuple[str, dict[str, object]], seconds: float = 2.0) -> EventCounts:
    tally = EventTally()
    for at, (event, fields) in enumerate(events):
        tally.note("INFO", event, fields, at * seconds)
    return EventCounts(**tally.counts())


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([("worker_crashed", {"worker_id": 1, "reason": "exit code 3", "restart_in_s": 0.1})], "crash"),
        ([("worker_crashed", {"worker_id": 1, "reason": "exit code 3"})], None),  # it is given up
        ([("worker_crashed", {"reason": "killed by SIGKILL: out of memory", "restart_in_s": 1})], "out_of_memory"),
        ([("worker_hung", {"worker_id": 1}), ("worker_crashed", {"worker_id": 1, "restart_in_s": 0.1})], "hung"),
        ([("worker_start_failed", {"worker_id": 1, "restart_in_s": 0.1})], "start_failed"),
        ([("worker_left", {"worker_id": 1})], "left"),
        ([("replace_begun", {"by": "health check"})], "unhealthy"),
        ([("replace_begun", {"by": "limit"})], None),
    ],
)
def test_restarts_are_counted_by_their_reason(events: list[tuple[str, dict[str, object]]], reason: str | None) -> None:
    assert tally_of(*events).restarts == ({reason: 1} if reason else {})


@pytest.mark.parametrize(
    ("allowed", "word"),
    [(Allowance(100, 0, 0), "memory"), (Allowance(0, 1, 0), "requests"), (Allowance(0, 0, 1.0), "lifetime")],
)
def test_verdicts_of_limits_are_told_apart(allowed: Allowance, word: str) -> None:
    verdict = judge(allowed, Used(memory_bytes=200, requests=2, lifetime=2.0))
    assert verdict is not None
    assert tally_of(("limit_reached", {"worker_id": 0, "reason": verdict.reason})).restarts == {word: 1}


def test_operations_are_counted_and_timed() -> None:
    counts = tally_of(
        ("reload_begun", {}), ("worker_done", {}), ("reload_failed", {}), ("reload_begun", {}), ("reload_done", {})
    )
    assert counts.operations == {"reload": {"failed": 1, "done": 1}}
    assert counts.operation_seconds == {"reload": 6.0}
    found = families(app(events=counts))
    assert {tuple(one.labels.values()): one.value for one in found["fastlb_operations"].samples} == {
        ("shop", "reload", "failed"): 1,
        ("shop", "reload", "done"): 1,
    }
    assert values(found["fastlb_operation_duration_seconds"]) == [2, 6]


def test_decisions_of_autoscaling_are_counted() -> None:
    up: dict[str, object]
    down: dict[str, object]
    up, down = {"workers_before": 2, "workers": 3}, {"workers_before": 3, "workers": 2}
    counts = tally_of(("autoscaling_decided", up), ("autoscaling_decided", down), ("autoscaling_held", up))
    assert counts.decisions == {"up": 1, "down": 1, "held": 1}


def test_every_line_is_as_the_library_writes_it() -> None:
    """Names, labels and values that were read by the library's parser are written by its exposition as they were."""
    members = [worker(1, requests=5, errors=1)]
    figures = WorkerFigures(0, 1.5, [1] * BUCKETS, latency_sum_us=77, busy=1, loop_lag_s=0.25, oldest_request_s=0.0)
    text = metrics_text([app(*members, figures=(figures,), namespace='a"b\\c\nd', events=tally_of(("x", {})))]).decode()
    registry = CollectorRegistry()
    registry.register(Parsed(text))
    assert sorted(generate_latest(registry).decode().splitlines()) == sorted(text.splitlines())


class Parsed(Collector):
    def __init__(self, text: str) -> None:
        self._text = text

    def collect(self) -> Iterable[Metric]:
        yield from text_string_to_metric_families(self._text)
