"""Workers that are over a limit are replaced, and no request is lost."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.node_driver import start_node
from tests.support.node_packages import APPS
from tests.support.waiting import scaled, wait_until

LIMIT = "120M"
PYTHON, NODE = "python", "node"
SHOP = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"shop"})
"""


def start_hoarder(fastlb: Fastlb, kind: str, *options: str) -> App:
    if kind == NODE:
        return start_node(fastlb, "hoarder.js", "--settle", "0.1", *options)
    return fastlb.start("hoarder:app", "--workers", "2", "--settle", "0.1", *options)


def is_replaced(app: App, old: set[int], count: int) -> Callable[[], bool]:
    """Return what says whether so many of the old workers have gone and all are online."""

    def check() -> bool:
        now = [worker["pid"] for worker in app.entry()["workers"] if worker["status"] == "online"]
        return len(now) == len(old) and len(set(now) - old) == count

    return check


@pytest.mark.parametrize("kind", [PYTHON, NODE])
def test_worker_over_its_memory_limit_is_replaced_and_no_request_fails(fastlb: Fastlb, kind: str) -> None:
    app = start_hoarder(fastlb, kind, "--max-memory-restart", LIMIT)
    old = set(app.worker_pids)
    with LoadProcess(Plan(address=app.address, clients=4)) as load:
        load.wait_for(50)
        app.get("/hoard?100")
        wait_until(is_replaced(app, old, 1), "one worker is replaced", 15)
        load.wait_for(50)
    assert load.report.failed == 0, load.report
    log = app.log("supervisor")
    assert "max_memory_restart (120M)" in log
    assert log.count("limit_reached") == 1
    assert app.entry()["restarts"] == 1


def test_memory_of_processes_below_a_worker_counts(fastlb: Fastlb) -> None:
    app = start_hoarder(fastlb, PYTHON, "--max-memory-restart", LIMIT)
    old = set(app.worker_pids)
    children: Counter[int] = Counter()
    while min(children[pid] for pid in old & set(app.worker_pids)) < 2:  # whoever is free has one more
        children[int(app.get("/child?60").body)] += 1
        if not old & set(app.worker_pids):
            break
    wait_until(is_replaced(app, old, 2), "both workers are replaced", 20)


def test_worker_far_above_its_limit_does_not_wait_for_its_replacement(fastlb: Fastlb) -> None:
    app = start_hoarder(fastlb, PYTHON, "--max-memory-restart", LIMIT, "--settle", "3s")
    old = set(app.worker_pids)
    app.get("/hoard?300")
    wait_until(lambda: "limit_urgent" in app.log("supervisor"), "it is sent away")
    wait_until(lambda: len(old & set(processes.children(app.supervisor_pid))) == 1, "it is gone")


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_worker_is_replaced_after_max_requests_and_no_request_fails(fastlb: Fastlb, target: str) -> None:
    options = ("--max-requests", "50", "--max-requests-jitter", "10", "--settle", "0")
    app = fastlb.start(target, "--workers", "2", *options)
    old = set(app.worker_pids)
    with LoadProcess(Plan(address=app.address, clients=2)) as load:
        wait_until(is_replaced(app, old, 2), "both workers are replaced", 15)
        load.wait_for(50)
    assert load.report.failed == 0, load.report


@pytest.mark.parametrize("kind", [PYTHON, NODE])
def test_worker_is_replaced_at_max_lifetime(fastlb: Fastlb, kind: str) -> None:
    app = start_hoarder(fastlb, kind, "--max-lifetime", "2s", "--settle", "0")
    old = set(app.worker_pids)
    wait_until(is_replaced(app, old, 2), "both workers are replaced", 15)
    assert "(max_lifetime)" in app.log("supervisor")


def test_replacement_that_does_not_start_leaves_the_old_worker(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    app = fastlb.start("shop:app", "--app-dir", str(tmp_path), "--workers", "1", "--max-lifetime", f"{scaled(2):g}s")
    old = app.worker_pids
    (tmp_path / "shop.py").write_text("raise RuntimeError('a bad deploy')\n")
    wait_until(lambda: "replace_failed" in app.log("supervisor"), "the replacement fails", 15)
    assert app.worker_pids == old
    assert app.get().status == 200
    assert app.entry()["status"] == "online"
    fastlb.allow_in_logs("Traceback")


def test_requests_are_counted_for_python_only(fastlb: Fastlb) -> None:
    result = fastlb.try_start(str(APPS / "hoarder.js"), "--max-requests", "10")
    assert result.returncode == 2
    assert "--max-requests: this is for Python apps" in result.stderr
