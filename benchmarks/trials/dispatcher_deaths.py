"""Trial 6: the dispatcher is killed again and again under load."""

import os
import signal
import time
from collections.abc import Iterator

from tests.support.fastlb_process import Fastlb, find_dispatcher
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess

from .apps import Start, start_python
from .finding import Finding, Scale

KILL_INTERVAL = 0.2
LONGEST_WAIT_MS = 1000


def run(scale: Scale) -> Iterator[Finding]:
    """Kill with few clients and with many."""
    for clients in (8, 200):
        yield from kill_dispatchers(start_python, scale.of(30, least=5), clients)


def kill_dispatchers(start: Start, kills: int, clients: int) -> Iterator[Finding]:
    """Kill `kills` dispatchers, one every 200 ms."""
    with Fastlb() as fastlb:
        app = start(fastlb)
        before, supervisor = app.worker_pids, app.supervisor_pid
        with LoadProcess(Plan(address=app.address, path="/plain", clients=clients, timeout=3)) as load:
            load.wait_for(100)
            due = time.monotonic()
            for _ in range(kills):
                os.kill(find_dispatcher(supervisor), signal.SIGKILL)
                due += KILL_INTERVAL
                time.sleep(max(0.0, due - time.monotonic()))
            load.wait_for(100)
        kept = app.worker_pids == before
    report = load.report
    ok = report.refused == 0 and report.failed <= kills and report.max_ms <= LONGEST_WAIT_MS and not report.timeout
    promise = f"dispatcher killed {kills} times, {clients} clients: 0 refused, failed <= kills, none > 1 s"
    yield Finding(promise, report.summary(), ok)
    yield Finding("... and the workers keep their pids", "unchanged" if kept else "changed", kept)
