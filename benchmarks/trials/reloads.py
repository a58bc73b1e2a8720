"""Trial 3: no request fails while an app is reloaded and scaled under load."""

import time
from collections.abc import Iterator

from tests.support.client import Connection
from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan, Report
from tests.support.load_process import LoadProcess

from .apps import start_python
from .finding import Finding, Scale

SILENCE = 3.0


def run(scale: Scale) -> Iterator[Finding]:
    """Reload, scale, and let clients be slow."""
    for keep_alive in (False, True):
        yield reload_under_load(scale, keep_alive)
    for keep_alive in (False, True):
        yield scale_under_load(keep_alive)
    for target in ("asgi_probe:app", "wsgi_probe:app"):
        yield silent_client(target)


def reload_under_load(scale: Scale, keep_alive: bool) -> Finding:
    """No request fails."""
    reloads, requests = scale.of(20), scale.of(100_000)
    with Fastlb() as fastlb:
        app = start_python(fastlb)
        plan = Plan(address=app.address, path="/plain", keep_alive=keep_alive)
        report = reload_repeatedly(app, plan, reloads, requests)
    kind = "keep-alive" if keep_alive else "new connections"
    promise = f"{reloads} reloads under load ({kind}), >= {requests} requests: 0 failed"
    return judge(promise, report, requests)


def reload_repeatedly(app: App, plan: Plan, reloads: int, requests: int) -> Report:
    """Reload in a row, spread over the requests of a load."""
    with LoadProcess(plan) as load:
        for number in range(1, reloads + 1):
            app.ok("reload")
            load.wait_for(max(requests * number // reloads - load.completed, 1), timeout=60)
    return load.report


def scale_under_load(keep_alive: bool) -> Finding:
    """Scale 2 -> 6 -> 1."""
    with Fastlb() as fastlb:
        app = fastlb.start("asgi_probe:app", "--workers", "2")
        with LoadProcess(Plan(address=app.address, keep_alive=keep_alive)) as load:
            for size in (6, 1):
                load.wait_for(1000)
                app.ok("scale", str(size))
                app.wait_online(size)
            load.wait_for(1000)
    kind = "keep-alive" if keep_alive else "new connections"
    return judge(f"scale 2 -> 6 -> 1 under load ({kind}): 0 failed", load.report, 3000)


def silent_client(target: str) -> Finding:
    """Connect, wait, and send the request only after a reload."""
    with Fastlb() as fastlb:
        app = fastlb.start(target, "--workers", "2")
        old = set(app.worker_pids)
        clients = [Connection(app.address) for _ in range(10)]
        connected_at = time.monotonic()
        app.ok("reload")
        time.sleep(max(0.0, connected_at + SILENCE - time.monotonic()))
        answered = count_answers(clients, app, old)
    promise = f"clients that wait {SILENCE:g} s across a reload and then send are answered ({target})"
    return Finding(promise, f"{answered} of {len(clients)}", answered == len(clients))


def count_answers(clients: list[Connection], app: App, old: set[int]) -> int:
    """Return how many are answered; the reload must have replaced every worker before."""
    assert not old & set(app.worker_pids), "the reload replaced the workers"
    answered = 0
    for client in clients:
        with client:
            try:
                answered += client.exchange().status == 200
            except OSError:
                continue
    return answered


def judge(promise: str, report: Report, least: int) -> Finding:
    """Return the finding of a load in which nothing may fail."""
    return Finding(promise, report.summary(), report.failed == 0 and report.requests >= least)
