"""Trial 5: workers are killed and stopped under load."""

import os
import random
import signal
import time
from collections.abc import Iterator

from tests.support import processes
from tests.support.client import Connection, get
from tests.support.fastlb_process import Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.waiting import wait_until

from .apps import Start, start_python
from .finding import Finding, Scale

KILL_INTERVAL = 0.2
CLIENTS = 8
QUEUED = 20
NEW_CLIENTS = 60


def run(scale: Scale) -> Iterator[Finding]:
    """Kill, stop, and kill what was stopped."""
    yield from kill_workers(scale.of(50, least=10))
    yield stop_one_worker()
    yield kill_with_queue(start_python)


def kill_workers(kills: int) -> Iterator[Finding]:
    """Kill a random worker again and again; compare what failed with what was being processed."""
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    with Fastlb() as fastlb:
        # These deaths are ours, so none counts towards the crash loop.
        app = fastlb.start("asgi_probe:app", "--workers", "4", "--min-uptime", "0", "--restart-delay", "0.05")
        plan = Plan(address=app.address, path="/sleep?0.002", clients=CLIENTS)
        idle_sockets = sockets_of(app.worker_pids[0])
        with LoadProcess(plan) as load:
            load.wait_for(100)
            killed, held = kill_at_interval(app.supervisor_pid, kills, rng, idle_sockets)
            load.wait_for(100)
            app.wait_online(4, timeout=30)
        begun, ended = fastlb.requests_begun_and_ended()
    report = load.report
    taken = f"{held} connections had been taken by those killed, of {begun - ended} the app had begun the request"
    measured = f"{killed} kills (seed {seed}): {report.summary()}; {taken}"
    yield Finding(
        "kill -9 of a random worker every 200 ms: only what was being processed fails",
        measured,
        report.failed <= max(held, begun - ended),
    )
    yield Finding(
        "... and none is refused or hangs",
        f"{report.refused} refused, {report.timeout} hung",
        report.refused + report.timeout == 0,
    )


def kill_at_interval(supervisor: int, kills: int, rng: random.Random, idle_sockets: int) -> tuple[int, int]:
    """Kill a worker at a steady interval; return how many died, and the connections that they had taken."""
    killed = held = 0
    due = time.monotonic()
    for _ in range(kills):
        workers = [pid for pid in processes.children(supervisor) if "fastlb.worker" in processes.command_line(pid)]
        if workers:
            victim = rng.choice(workers)
            held += max(kill_and_count_sockets(victim) - idle_sockets, 0)
            killed += 1
        due += KILL_INTERVAL
        time.sleep(max(0.0, due - time.monotonic()))
    return killed, held


def kill_and_count_sockets(pid: int) -> int:
    """Kill a worker; stop it before, so that nothing moves between counting and killing."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: processes.is_stopped(pid) or not processes.is_running(pid), "it stands still")
    sockets = sockets_of(pid)
    os.kill(pid, signal.SIGKILL)
    return sockets


def sockets_of(pid: int) -> int:
    """Return the number of sockets that a process has open."""
    try:
        return sum(what.startswith("socket:") for what in processes.open_fds(pid).values())
    except FileNotFoundError:
        return 0


def stop_one_worker() -> Finding:
    """With one of two workers stopped, new clients are answered by the other."""
    with Fastlb() as fastlb:
        app = fastlb.start("asgi_probe:app", "--workers", "2")
        address, (stopped, _) = app.address, app.worker_pids
        os.kill(stopped, signal.SIGSTOP)
        wait_until(lambda: processes.is_stopped(stopped), "the worker is stopped")
        began = time.monotonic()
        clients = [Connection(address, timeout=5) for _ in range(NEW_CLIENTS)]
        for client in clients:
            client.send()
        answered = sum(client.receive().status == 200 for client in clients)
        together = time.monotonic() - began
        slowest = max(time_of(lambda: get(address)) for _ in range(NEW_CLIENTS))
        for client in clients:
            client.close()
        os.kill(stopped, signal.SIGCONT)
    measured = f"{answered} at once in {together * 1000:.0f} ms; one by one slowest {slowest * 1000:.0f} ms"
    ok = answered == NEW_CLIENTS and together <= 0.5 and slowest <= 0.5
    return Finding(f"one of two workers stopped: {NEW_CLIENTS} new clients answered within 0.5 s", measured, ok)


def kill_with_queue(start: Start) -> Finding:
    """Connections that lie in the channel of a worker that is killed are answered by another."""
    with Fastlb() as fastlb:
        app = start(fastlb, "--credit", "32", "--handover-timeout", "30", "--balance", "round-robin")
        pids = app.worker_pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda pid=pid: processes.is_stopped(pid), "the worker is stopped")  # type: ignore[misc]
        clients = [Connection(app.address, timeout=10) for _ in range(2 * QUEUED)]
        for client in clients:
            client.send()
        wait_until(lambda: [processes.queued_fds(pid) for pid in pids] == [QUEUED] * 2, "20 are queued to each")
        os.kill(pids[0], signal.SIGKILL)
        os.kill(pids[1], signal.SIGCONT)
        answered = sum(client.receive().status == 200 for client in clients)
        for client in clients:
            client.close()
    promise = f"credit 32, {QUEUED} connections queued to a worker that is killed: all answered"
    return Finding(
        promise, f"{answered - QUEUED} of {QUEUED} (and {QUEUED} queued to the other)", answered == 2 * QUEUED
    )


def time_of(action: "object") -> float:
    """Return how long a call takes."""
    assert callable(action)
    began = time.monotonic()
    action()
    return time.monotonic() - began
