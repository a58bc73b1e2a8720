"""Trials 13 to 15: a Node worker killed with a queue, reloads under load, and the dispatcher killed."""

import os
import signal
from collections.abc import Iterator

from tests.support import processes
from tests.support.client import Connection
from tests.support.fastlb_process import Fastlb
from tests.support.load_plan import Plan, Report
from tests.support.waiting import wait_until

from .apps import start_http_js
from .dispatcher_deaths import kill_dispatchers
from .finding import Finding, Scale
from .reloads import judge, reload_repeatedly
from .worker_faults import kill_with_queue

QUEUED = 20
BLOCKED_MS = 60_000


def killed_workers(scale: Scale) -> Iterator[Finding]:
    """Trial 13: what waits for a worker that is killed is answered."""
    yield kill_with_queue(start_http_js)
    yield kill_the_only_worker()


def kill_the_only_worker() -> Finding:
    """Kill a worker that executes a request while others wait, two in its channel and the rest in the kernel."""
    with Fastlb() as fastlb:
        app = start_http_js(fastlb, workers=1)
        (victim,) = app.worker_pids
        executing = Connection(app.address, timeout=15)
        executing.send(f"/block?ms={BLOCKED_MS}")
        wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "the worker executes a request")
        waiting = [Connection(app.address, timeout=15) for _ in range(QUEUED)]
        for client in waiting:
            client.send()
        wait_until(lambda: processes.queued_fds(victim) > 0, "connections wait in its channel")
        os.kill(victim, signal.SIGKILL)
        answered = sum(is_answered(client) for client in waiting)
        lost = not is_answered(executing)
    promise = f"the only worker killed (kill -9) with {QUEUED} clients queued: all answered but the request it executed"
    measured = f"{answered} of {QUEUED}; the one that was executed was {'lost' if lost else 'answered'}"
    return Finding(promise, measured, answered == QUEUED)


def is_answered(client: Connection) -> bool:
    """Say whether the client gets its response, and close it."""
    with client:
        try:
            return client.receive().status == 200
        except OSError:
            return False


def reloads(scale: Scale) -> Iterator[Finding]:
    """Trial 14: ten reloads under load, with new connections and with keep-alive."""
    count, requests = scale.of(10, least=2), scale.of(20_000)
    with Fastlb() as fastlb:
        app = start_http_js(fastlb)
        report = reload_repeatedly(app, Plan(address=app.address), count, requests)
    yield judge(f"Node: {count} reloads under load (new connections): 0 failed", report, requests)
    with Fastlb() as fastlb:
        app = start_http_js(fastlb)
        report = reload_repeatedly(app, Plan(address=app.address, keep_alive=True), count, requests)
        begun, ended = settled_ledger(fastlb, report)
    yield judge_keep_alive(count, report, begun - ended)


def settled_ledger(fastlb: Fastlb, report: Report) -> tuple[int, int]:
    """Return what the workers have begun and ended when every answer that came has been noted."""
    wait_until(lambda: fastlb.requests_begun_and_ended()[1] >= report.ok, "every answer is noted")
    return fastlb.requests_begun_and_ended()


def judge_keep_alive(count: int, report: Report, unanswered: int) -> Finding:
    """A worker that leaves closes idle connections: what a client sends at that moment reaches nobody."""
    never_begun = all(failure.reused for failure in report.failures)
    ok = report.refused + report.timeout + report.bad_status + unanswered == 0 and never_begun
    promise = (
        f"Node: {count} reloads under load (keep-alive): none failed of what a worker had begun, none refused or hung"
    )
    measured = f"{report.summary()}; begun by a worker and not answered: {unanswered}"
    return Finding(promise, measured, ok)


def dispatcher_deaths(scale: Scale) -> Iterator[Finding]:
    """Trial 15: the dispatcher is killed again and again; its successor takes the workers over."""
    for clients in (8, 200):
        yield from kill_dispatchers(start_http_js, scale.of(30, least=5), clients)
