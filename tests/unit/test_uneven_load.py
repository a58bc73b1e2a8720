"""Why load is uneven: each cause from the figures that it leaves, and what is even or too little."""

from collections import Counter
from typing import Any

import pytest
from fastlb.cli.doctor.examined_app import Answer, ExaminedApp
from fastlb.cli.doctor.finding import Finding
from fastlb.cli.doctor.uneven_load import AppLoad, WorkerLoad, find_uneven_load, load_of
from fastlb.supervisor.control.protocol import AppEntry, AppMetrics, WorkerEntry, WorkerFigures

NOTHING: Counter[str] = Counter()
# Four workers of a guide that asks why.
GUIDE = (0.45, 0.02, 0.78, 0.15)


def load(
    cpu: tuple[float, ...] = GUIDE,
    requests: tuple[int | None, ...] = (450, 20, 780, 150),
    connections: tuple[int, ...] = (3, 1, 5, 1),
    medians: tuple[float | None, ...] = (),
    **other: Any,
) -> AppLoad:
    medians = medians or (2.0,) * len(cpu)
    rows = enumerate(zip(cpu, connections, requests, medians, strict=True))
    usual: dict[str, Any] = {"seconds": 2.0, "balance": "round-robin", "new_connections": 0, "clients": NOTHING}
    return AppLoad(workers=[WorkerLoad(number, *row) for number, row in rows], **(usual | other))


def finding(*args: Any, **other: Any) -> Finding:
    return find_uneven_load("shop", load(*args, **other))


def test_guides_case_by_few_connections_that_are_kept() -> None:
    one = finding()
    assert one.severity == "warning"
    assert one.measured == (
        "workers 0, 1, 2, 3 in 2.0 s: CPU 45 %, 2 %, 78 %, 15 %; requests 450, 20, 780, 150; median 2 ms, 2 ms, 2 ms,"
        " 2 ms; open connections 3, 1, 5, 1; new connections 0"
    )
    assert "10 connections had 1400 requests, and 0 were new" in one.meaning
    assert "--balance least-connections" in one.mend


def test_many_kept_connections_that_lie_unevenly_are_another_thing() -> None:
    one = finding(connections=(40, 2, 90, 10))
    assert "not spread evenly" in one.meaning


def test_guides_case_by_a_proxy_under_ip_hash() -> None:
    clients = Counter({"10.0.0.2": 95, "10.0.0.3": 3})
    one = finding(balance="ip-hash", connections=(2, 0, 95, 1), new_connections=1400, clients=clients)
    assert "95 of 98 connections come from 10.0.0.2, as behind a proxy" in one.meaning
    assert "ip-hash" in one.meaning


def test_guides_case_by_few_clients_under_ip_hash() -> None:
    clients = Counter({"10.0.0.2": 3, "10.0.0.3": 5, "10.0.0.4": 1, "10.0.0.5": 1})
    one = finding(balance="ip-hash", new_connections=1400, clients=clients)
    assert "4 client addresses for 4 workers" in one.meaning


def test_clients_of_a_unix_socket_under_ip_hash() -> None:
    assert "unix socket" in finding(balance="ip-hash", new_connections=1400).meaning


def test_ip_hash_with_many_clients_is_not_the_cause() -> None:
    clients = Counter({f"10.0.0.{number}": 1 for number in range(100)})
    one = finding(balance="ip-hash", new_connections=1400, clients=clients)
    assert "ip-hash" not in one.meaning


def test_slow_worker_is_named_with_its_figures() -> None:
    one = finding(
        cpu=(0.2, 0.9, 0.2, 0.2), requests=(100, 90, 110, 100), medians=(2.0, 40.0, 2.5, 2.0), new_connections=400
    )
    assert "Worker 1 is slow: its median request takes 40 ms, that of the others 2 ms" in one.meaning
    assert "--worker 1" in one.mend


def test_busy_worker_is_not_a_slow_one() -> None:
    one = finding(requests=(100, 100, 1000, 100), medians=(2.0, 2.0, 20.0, 2.0))
    assert "is slow" not in one.meaning


def test_work_that_differs_is_a_note() -> None:
    one = finding(requests=(100, 101, 99, 100), connections=(4, 4, 4, 4), new_connections=400)
    assert one.severity == "note"
    assert "cost 0.4 to 16 ms of CPU each" in one.meaning
    assert "profile 10 --worker 2" in one.mend


def test_worker_that_gets_nothing_is_the_first_cause() -> None:
    uneven = load(requests=(500, 0, 500, 500), cpu=(0.5, 0.0, 0.5, 0.5))
    held = WorkerLoad(1, 0.0, 0, 0, None, "is ill: /health answered 500")
    workers = [held if worker.id == 1 else worker for worker in uneven.workers]
    one = find_uneven_load("shop", AppLoad(2.0, "ip-hash", workers, 0, NOTHING))
    assert "worker 1 is ill: /health answered 500" in one.meaning


@pytest.mark.parametrize(
    ("connections", "new", "meaning"),
    [((3, 1, 8, 1), 2, "Few connections are kept"), ((4, 4, 4, 4), 900, "these figures do not tell")],
)
def test_node_workers_are_judged_by_connections(connections: tuple[int, ...], new: int, meaning: str) -> None:
    nobody = (None,) * 4
    one = finding(requests=nobody, medians=nobody, connections=connections, new_connections=new)
    assert meaning in one.meaning
    assert "requests" not in one.measured


@pytest.mark.parametrize(
    ("cpu", "requests"),
    [
        ((0.45, 0.50, 0.55, 0.48), (450, 500, 550, 480)),
        ((0.01, 0.00, 0.02, 0.00), (3, 0, 9, 1)),
        ((0.30, 0.25, 0.20, 0.35), (300, 250, 200, 350)),
    ],
)
def test_even_or_little_load_is_well(cpu: tuple[float, ...], requests: tuple[int, ...]) -> None:
    assert finding(cpu, requests).severity == "ok"


def metrics(cpu: float, *requests: int) -> AppMetrics:
    usual: dict[str, Any] = {"uptime_s": 1.0, "restarts": 0, "rss_bytes": 0, "cpu_percent": 0.0, "connections": 2}
    workers = [
        WorkerEntry(id=number, pid=100 + number, status="online", requests=count, **usual)
        for number, count in enumerate(requests)
    ]
    figures = [WorkerFigures(number, cpu, [0] * 10 + [count] + [0] * 21) for number, count in enumerate(requests)]
    about: dict[str, Any] = {"name": "shop", "status": "online", "pid": 1, "uptime_s": 1.0, "restarts": 0, "binds": []}
    about |= {"balance": "round-robin", "logs": {}, "max_memory_bytes": 0, "dispatcher": {"dispatched": sum(requests)}}
    return AppMetrics(workers=workers, figures=figures, **about)


def examined(first: AppEntry, last: AppEntry) -> ExaminedApp:
    return ExaminedApp(None, Answer(10.0, first), Answer(12.0, last))


def test_load_is_what_came_between_two_answers() -> None:
    found = load_of(examined(metrics(1.0, 100, 200), metrics(2.0, 150, 200)), NOTHING)
    assert found
    assert (found.seconds, found.new_connections) == (2.0, 50)
    assert [(one.cpu, one.requests, one.connections) for one in found.workers] == [(0.5, 50, 2), (0.5, 0, 2)]
    assert found.workers[0].median_ms == pytest.approx(0.768)
    assert found.workers[1].median_ms is None


def test_worker_that_was_replaced_meanwhile_is_left_out() -> None:
    last = metrics(2.0, 150, 200)
    last.workers[1].pid = 999
    found = load_of(examined(metrics(1.0, 100, 200), last), NOTHING)
    assert found
    assert [one.id for one in found.workers] == [0]
    assert find_uneven_load("shop", found).severity == "ok"


def test_app_of_one_worker_or_without_figures_has_no_spread() -> None:
    assert load_of(examined(metrics(1.0, 100), metrics(2.0, 150)), NOTHING) is None
    stopped = AppEntry(
        name="shop", status="stopped", pid=None, uptime_s=0.0, restarts=0, binds=[], balance="", workers=[]
    )
    assert load_of(examined(stopped, stopped), NOTHING) is None
