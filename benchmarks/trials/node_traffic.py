"""Trials 10 to 12: frameworks of Node, exact rotation, and one worker that is blocked while others are free."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from benchmarks.compare.loads import counted
from tests.support.client import Connection, get
from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Address, Plan
from tests.support.load_process import run_load
from tests.support.node_clients import https_get, run_client, tls_variables
from tests.support.node_driver import copy_apps, start_node, variables, who_answers
from tests.support.node_packages import APPS, NotInstallableError, framework_modules
from tests.support.tls import client_context
from tests.support.waiting import wait_until

from .apps import start_http_js
from .finding import Finding, Scale

PLAIN = ("http.js", "esm.mjs", "cjs.cjs")
FRAMEWORKS = ("express.js", "fastify.js", "koa.js", "ws.js", "socketio.js", "typescript.ts")
CLIENTS = 8
SINGLE = 40
# What one of two workers has to get at least when requests come several at a time.
FAIR_SHARE = 0.3
# The rotation is tried here, not whether a worker gets a CPU within 5 ms.
EXACT_WORKERS = 4
EXACT = ("--balance", "round-robin", "--handover-timeout", "5", "--credit", str(EXACT_WORKERS))
BLOCKED_MS = 10_000
BLOCKED_CLIENTS = 150
# The load ends so long before the block does that whoever waits for the blocked worker waits longer than SLOW.
LOAD_SECONDS = 7.0
SLOW = 1.5
MOST_WAITING = 2


class Spread(msgspec.Struct, frozen=True):
    """What a load came to: how many requests failed, and how many each worker has answered."""

    failed: int
    by_worker: list[int]

    @property
    def is_fair(self) -> bool:
        """Whether nothing failed and each of two workers had its share."""
        least = FAIR_SHARE * sum(self.by_worker)
        return self.failed == 0 and len(self.by_worker) == 2 and min(self.by_worker) >= least

    def __str__(self) -> str:
        shares = " + ".join(map(str, self.by_worker))
        return f"{self.failed} failed, {shares}"


def frameworks(scale: Scale) -> Iterator[Finding]:
    """Trial 10: requests one by one and by `ab`, on each framework, spread over two workers."""
    requests = scale.of(2000)
    for script in PLAIN:
        yield try_app(APPS / script, requests)
    yield spread_of_clients("HTTPS", APPS / "https.js", ask_by_tls)
    yield spread_of_clients("HTTP/2", APPS / "h2c.js", ask_by_http2)
    with tempfile.TemporaryDirectory(prefix="fastlb-frameworks-") as directory:
        try:
            folder = copy_apps(Path(directory), framework_modules())
        except NotInstallableError as error:
            yield Finding("the frameworks can be installed", str(error), False)
            return
        for script in FRAMEWORKS:
            yield try_app(folder / script, requests)


def try_app(script: Path, requests: int) -> Finding:
    """Ask one app, first one by one, then by `ab`."""
    interpreter = ("--interpreter", "tsx", "--cwd", str(script.parent)) if script.suffix == ".ts" else ()
    with Fastlb() as fastlb:
        app = start_node(fastlb, script, *interpreter)
        one_by_one = Spread(0, sorted(who_answers(app.address, SINGLE).values()))
        loaded = ask_by_ab(app.address, requests, CLIENTS, workers=2)
    promise = f"{script.name}: {SINGLE} single requests and `ab -n {requests} -c {CLIENTS}`, spread over 2 workers"
    return Finding(promise, f"{one_by_one}; ab: {loaded}", one_by_one.is_fair and loaded.is_fair)


def ask_by_ab(address: Address, requests: int, clients: int, workers: int) -> Spread:
    """Run `ab`; every worker is asked before and after how many requests it has answered."""
    assert not isinstance(address, str)
    before = ask_all_workers(address, workers)
    measured = counted(requests, clients)(address)
    after = ask_all_workers(address, workers)
    return Spread(measured.failed, sorted(after[pid].earlier - before[pid].answered for pid in after))


class Told(msgspec.Struct, frozen=True):
    """What a worker has answered: all, and all before it was asked for the first time in a row of questions."""

    answered: int
    earlier: int


def ask_all_workers(address: Address, workers: int) -> dict[int, Told]:
    """Ask until every worker has told how many requests it has answered."""
    told: dict[int, Told] = {}

    def all_told() -> bool:
        answer = get(address).json()
        pid, served = answer["pid"], answer["served"]
        told[pid] = Told(served, told[pid].earlier if pid in told else served - 1)
        return len(told) == workers

    wait_until(all_told, f"{workers} workers tell what they have answered")
    return told


def spread_of_clients(kind: str, script: Path, ask: Callable[[App], list[int]]) -> Finding:
    """Ask one by one with a client of its own."""
    with Fastlb() as fastlb:
        pids = ask(start_node(fastlb, script, *variables(tls_variables())))
    spread = Spread(0, sorted(pids.count(pid) for pid in set(pids)))
    return Finding(f"{script.name}: {SINGLE} connections by {kind}, spread over 2 workers", str(spread), spread.is_fair)


def ask_by_tls(app: App) -> list[int]:
    """Return who answers requests over TLS."""
    context = client_context()
    return [https_get(app.address, context)[0]["pid"] for _ in range(SINGLE)]


def ask_by_http2(app: App) -> list[int]:
    """Return who answers connections of HTTP/2."""
    return run_client(APPS / "h2c_client.js", f"http://127.0.0.1:{app.port}", str(SINGLE))


def rotation(scale: Scale) -> Iterator[Finding]:
    """Trial 11: round-robin is exact."""
    connections = scale.of(12_000)
    with Fastlb() as fastlb:
        app = start_http_js(fastlb, *EXACT, workers=EXACT_WORKERS)
        counts = who_answers(app.address, connections)
        yield judge_rotation(f"{connections} one after the other", list(counts.values()))
    with Fastlb() as fastlb:
        app = start_http_js(fastlb, *EXACT, workers=EXACT_WORKERS)
        spread = ask_by_ab(app.address, connections, EXACT_WORKERS, EXACT_WORKERS)
        yield judge_rotation(f"`ab -n {connections} -c {EXACT_WORKERS}`", spread.by_worker)


def judge_rotation(load: str, counts: list[int]) -> Finding:
    """Return the finding for what four workers got."""
    ok = len(counts) == EXACT_WORKERS and max(counts) - min(counts) <= 1
    promise = f"round-robin, Node: {load}, the same number for each of {EXACT_WORKERS} workers"
    return Finding(promise, ", ".join(map(str, counts)), ok)


def blocked_worker(scale: Scale) -> Iterator[Finding]:
    """Trial 12: one of two workers is blocked for ten seconds under 150 clients."""
    with Fastlb() as fastlb:
        app = start_http_js(fastlb)
        with Connection(app.address, timeout=30) as blocker:
            blocker.send(f"/block?ms={BLOCKED_MS}")
            wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "one worker is blocked")
            load = Plan(address=app.address, path="/plain", clients=BLOCKED_CLIENTS, timeout=30, slow_after=SLOW)
            report = run_load(msgspec.structs.replace(load, seconds=LOAD_SECONDS))
            assert blocker.receive().status == 200
    promise = (
        f"one of two workers blocked for {BLOCKED_MS // 1000} s, {BLOCKED_CLIENTS} clients: "
        f"at most {MOST_WAITING} connections wait for it, all are answered"
    )
    measured = f"{report.slow} waited; {report.summary()}"
    yield Finding(promise, measured, report.failed == 0 and report.slow <= MOST_WAITING)
