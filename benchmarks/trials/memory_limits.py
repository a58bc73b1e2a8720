"""Trial 21: an app that leaks is replaced under load, again and again, and no request fails."""

from collections.abc import Callable, Iterator

from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.node_driver import start_node
from tests.support.waiting import wait_until

from .finding import Finding, Scale

LIMIT = "150M"
LEAK = "/hoard?10"  # mebibytes
# Beyond the limit, both workers together, and some more.
MOST_LEAKS = 60
REPLACEMENTS = 3
WORKERS = 2


def run(scale: Scale) -> Iterator[Finding]:
    """Let a Python and a Node app leak."""
    yield leak(scale, "Python", start_python)
    yield leak(scale, "Node", start_hoarder_js)


def leak(scale: Scale, kind: str, start: Callable[[Fastlb], App]) -> Finding:
    """Leak until workers were replaced three times, and go on with the load to its end."""
    requests = scale.of(100_000)
    with Fastlb() as fastlb:
        app = start(fastlb)
        with LoadProcess(Plan(address=app.address, clients=4)) as load:
            for number in range(1, REPLACEMENTS + 1):
                leak_until_replaced(app, load, number)
            load.wait_for(max(requests - load.completed, 1), timeout=120)
        app.wait_online(WORKERS)
        replaced = app.entry()["restarts"]
        forced = app.log("supervisor").count("worker_killed")
    promise = f"{kind}: a leak under load, replaced {REPLACEMENTS} times, {requests} requests: 0 failed"
    is_kept = load.report.failed == 0 and load.report.requests >= requests and replaced >= REPLACEMENTS and not forced
    return Finding(promise, f"{replaced} replaced, {forced} killed; {load.report.summary()}", is_kept)


def leak_until_replaced(app: App, load: LoadProcess, number: int) -> None:
    """Leak little by little until so many workers have been replaced."""
    for _ in range(MOST_LEAKS):
        if app.entry()["restarts"] >= number:
            return
        app.get(LEAK)
        load.wait_for(100)
    wait_until(lambda: app.entry()["restarts"] >= number, f"{number} workers were replaced", timeout=20)


def start_python(fastlb: Fastlb) -> App:
    """Start the ASGI app that keeps memory."""
    return fastlb.start("hoarder:app", "--workers", str(WORKERS), "--max-memory-restart", LIMIT)


def start_hoarder_js(fastlb: Fastlb) -> App:
    """Start the Node app that keeps memory."""
    return start_node(fastlb, "hoarder.js", "--max-memory-restart", LIMIT, workers=WORKERS)
