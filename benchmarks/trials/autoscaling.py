"""Trial 24: the number of workers follows a load that rises and falls; watching costs nothing while all is idle."""

import itertools
import json
import time
from collections.abc import Iterator
from functools import partial

from fastlb.supervisor.processes.usage import read_cpu_seconds

from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.waiting import wait_until

from .finding import Finding, Scale

MOST = 6
BUSY, QUIET = 5, 1  # clients: each keeps one thread of a worker busy
DOWN_COOLDOWN = 10
COOLDOWNS = ("--scale-up-cooldown", "3s", "--scale-down-cooldown", f"{DOWN_COOLDOWN}s")
IDLE_WORKERS = 8
MOST_IDLE_PERCENT = 0.5


def run(scale: Scale) -> Iterator[Finding]:
    """Let a load rise and fall, then let nothing happen."""
    yield rise_and_fall()
    yield idle(scale.of(60, least=20))


def rise_and_fall() -> Finding:
    """One worker, then six, then two."""
    with Fastlb() as fastlb:
        app = fastlb.start("wsgi_probe:app", "--max-instances", str(MOST), *COOLDOWNS)
        failed = requests = 0
        for clients, workers in ((BUSY, MOST), (QUIET, 2)):
            with LoadProcess(Plan(address=app.address, path="/sleep?0.05", clients=clients, timeout=30)) as load:
                wait_until(partial(is_target, app, workers), f"{workers} workers", 90)
                app.wait_online(workers, 60)
                time.sleep(2 * DOWN_COOLDOWN)  # in which nothing may be decided any more
            failed, requests = failed + load.report.failed, requests + load.report.requests
        sizes = decided(fastlb)
    back = steps_back(sizes)
    promise = f"load that rises and falls: 1 -> {MOST} -> 2 workers, 0 failed, at most one step back"
    measured = f"{' -> '.join(map(str, [1, *sizes]))}, {back} back, {requests} requests, {failed} failed"
    return Finding(promise, measured, failed == 0 and back <= 1 and MOST in sizes and sizes[-1] == 2)


def is_target(app: App, workers: int) -> bool:
    """Say whether so many workers are wanted."""
    return bool(app.entry()["target_workers"] == workers)


def decided(fastlb: Fastlb) -> list[int]:
    """Return the numbers of workers that were decided on, in order."""
    lines = fastlb.ok("events", "app", "--lines", "1000", "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    return [event["workers"] for event in events if event["event"] == "autoscaling_decided"]


def steps_back(sizes: list[int]) -> int:
    """Return how many steps go down before the most workers were reached, or up after that."""
    peak = sizes.index(max(sizes))
    numbers = [1, *sizes]
    rising, falling = numbers[: peak + 2], numbers[peak + 1 :]
    down = sum(after < before for before, after in itertools.pairwise(rising))
    return down + sum(after > before for before, after in itertools.pairwise(falling))


def idle(seconds: int) -> Finding:
    """Have everything on that looks at something by itself, and nothing happen."""
    options = ("--max-instances", str(IDLE_WORKERS), "--min-instances", str(IDLE_WORKERS))
    others = ("--cron-restart", "0 3 * * *", "--max-memory-restart", "1G", "--health-check", "/plain")
    with Fastlb() as fastlb:
        app = fastlb.start("asgi_probe:app", *options, *others)
        app.wait_online(IDLE_WORKERS, 60)
        pids = [app.supervisor_pid, app.dispatcher_pid]
        before, began = sum(map(read_cpu_seconds, pids)), time.monotonic()
        time.sleep(seconds)
        used = sum(map(read_cpu_seconds, pids)) - before
        percent = 100 * used / (time.monotonic() - began)
    promise = (
        f"idle, {IDLE_WORKERS} workers, autoscaling, cron_restart, a limit of memory and a health check:"
        f" supervisor and dispatcher under {MOST_IDLE_PERCENT} % of a core"
    )
    return Finding(promise, f"{percent:.2f} % in {seconds} s", percent < MOST_IDLE_PERCENT)
