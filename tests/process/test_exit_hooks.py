"""Hooks for the exit of workers, in a whole app; the gauges of prometheus_client are what they are for."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import wait_until

METRICS = """
import os
from prometheus_client import CollectorRegistry, Gauge, generate_latest, multiprocess
from fastlb.worker import on_worker_exit

on_worker_exit(multiprocess.mark_process_dead)
Gauge("up", "Workers that live", multiprocess_mode="liveall").set(1)

def metrics():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry)
"""
WSGI = f"""{METRICS}
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [metrics()]
"""
ASGI = f"""{METRICS}
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": metrics()}})
"""
# The first worker that is told keeps the news to itself for ever.
SELFISH = """
import os, threading
from pathlib import Path
from fastlb.worker import on_worker_exit

@on_worker_exit
def note(pid):
    try:
        os.mkdir("selfish")
    except FileExistsError:
        Path(f"told-{pid}-to-{os.getpid()}").touch()
    else:
        Path("selfish/pid").write_text(str(os.getpid()))
        threading.Event().wait()

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""
WORKERS = 3


def wait_told(directory: Path, pid: int) -> None:
    wait_until(lambda: list(directory.glob(f"told-{pid}-to-*")), f"the end of {pid} is told", timeout=15)


def gauges(app: App) -> set[int]:
    return set(map(int, re.findall(r'up\{pid="(\d+)"\} 1', app.get("/").body.decode())))


def wait_gauges_of_the_living(app: App) -> None:
    def is_so() -> bool:
        return gauges(app) == set(app.worker_pids)

    wait_until(is_so, "the gauges are those of the workers that live", timeout=15)


@pytest.fixture(params=[WSGI, ASGI], ids=["wsgi", "asgi"])
def app(request: pytest.FixtureRequest, fastlb: Fastlb, tmp_path: Path) -> App:
    (tmp_path / "app.py").write_text(request.param)
    (tmp_path / "metrics").mkdir()
    variable = f"PROMETHEUS_MULTIPROC_DIR={tmp_path / 'metrics'}"
    options = ("--app-dir", str(tmp_path), "--workers", str(WORKERS), "--env", variable)
    return fastlb.start("app:app", *options)


def test_gauges_of_dead_workers_are_gone(app: App) -> None:
    wait_gauges_of_the_living(app)
    os.kill(app.worker_pids[0], signal.SIGKILL)
    app.wait_online(WORKERS)
    wait_gauges_of_the_living(app)
    for pid in app.worker_pids:
        os.kill(pid, signal.SIGKILL)
    app.wait_online(WORKERS)
    wait_gauges_of_the_living(app)


@pytest.mark.parametrize("command", ["reload", "restart"])
def test_gauges_of_replaced_workers_are_gone(app: App, command: str) -> None:
    before = set(app.worker_pids)
    app.ok(command)
    wait_until(lambda: not before & set(app.worker_pids), "all are replaced", timeout=15)
    wait_gauges_of_the_living(app)


def test_gauges_are_gone_after_scaling_down(app: App) -> None:
    app.ok("scale", "1")
    wait_until(lambda: len(app.worker_pids) == 1, "one is left", timeout=15)
    wait_gauges_of_the_living(app)


def test_news_that_died_with_a_worker_come_to_another(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SELFISH)
    app = fastlb.start("app:app", "--app-dir", str(tmp_path), "--cwd", str(tmp_path), "--workers", "2")
    first = app.worker_pids[0]
    os.kill(first, signal.SIGKILL)
    pid_file = tmp_path / "selfish" / "pid"
    wait_until(lambda: pid_file.exists() and pid_file.read_text(), "another is told", timeout=15)
    selfish = int(pid_file.read_text())
    app.wait_online(2)
    os.kill(selfish, signal.SIGKILL)
    for pid in (first, selfish):
        wait_told(tmp_path, pid)
