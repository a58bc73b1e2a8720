"""Trial 7: no descriptors are left, in the dispatcher and in the workers."""

import select
import time
from collections.abc import Iterator

from tests.support import processes
from tests.support.client import Connection
from tests.support.fastlb_process import App, Fastlb

from .finding import Finding, Scale

EXHAUSTED_FOR = 3.0
LARGEST_CPU_PERCENT = 5.0
RECOVERY = 1.0
WORKER_LIMIT = 100


def run(scale: Scale) -> Iterator[Finding]:
    """Exhaust the dispatcher, then the workers."""
    yield exhaust_dispatcher(100)
    yield exhaust_workers(300)


def exhaust_dispatcher(count: int) -> Finding:
    """The dispatcher may open nothing for three seconds."""
    with Fastlb() as fastlb:
        app = fastlb.start("asgi_probe:app", "--workers", "2")
        dispatcher = app.dispatcher_pid
        old_soft, _ = processes.limit_open_files(dispatcher, lowest_free_fd(dispatcher))
        clients = connect(app, count)
        cpu_before = processes.cpu_nanoseconds(dispatcher)
        time.sleep(EXHAUSTED_FOR)
        cpu_percent = (processes.cpu_nanoseconds(dispatcher) - cpu_before) / 1e7 / EXHAUSTED_FOR
        served_meanwhile = len(readable(clients))
        processes.limit_open_files(dispatcher, old_soft)
        began = time.monotonic()
        answered = sum(is_answered(client) for client in clients)
        recovery = time.monotonic() - began
        for client in clients:
            client.close()
    ok = answered == count and cpu_percent < LARGEST_CPU_PERCENT and recovery < RECOVERY
    measured = (
        f"{answered} of {count} answered ({served_meanwhile} meanwhile), its CPU {cpu_percent:.1f} %, "
        f"all answered {recovery * 1000:.0f} ms after the end"
    )
    return Finding("dispatcher without descriptors for 3 s: none reset, CPU < 5 %, quick recovery", measured, ok)


def exhaust_workers(count: int) -> Finding:
    """Each worker may have 100 descriptors; clients hold what they get until all that can be served are."""
    with Fastlb() as fastlb:
        app = fastlb.start("asgi_probe:app", "--workers", "2", "--timeout-keep-alive", "60")
        dispatcher = app.dispatcher_pid
        for pid in app.worker_pids:
            processes.limit_open_files(pid, WORKER_LIMIT)
        waiting = connect(app, count)
        cpu_before = processes.cpu_nanoseconds(dispatcher)
        time.sleep(EXHAUSTED_FOR)
        cpu_percent = (processes.cpu_nanoseconds(dispatcher) - cpu_before) / 1e7 / EXHAUSTED_FOR
        rounds, answered = serve_in_rounds(waiting)
    ok = answered == count and cpu_percent < LARGEST_CPU_PERCENT
    measured = f"{answered} of {count} answered in {rounds} rounds, dispatcher's CPU {cpu_percent:.1f} %"
    return Finding(f"workers limited to {WORKER_LIMIT} descriptors under {count} clients: none reset", measured, ok)


def serve_in_rounds(waiting: list[Connection]) -> tuple[int, int]:
    """Take the answers that have come, close those clients, and so on; stop when nothing comes for 5 s."""
    rounds = answered = 0
    while waiting:
        ready = readable(waiting, timeout=5.0)
        if not ready:
            break
        rounds += 1
        answered += sum(is_answered(client) for client in ready)
        waiting = [client for client in waiting if client not in ready]
        for client in ready:
            client.close()
    for client in waiting:
        client.close()
    return rounds, answered


def connect(app: App, count: int) -> list[Connection]:
    """Return clients that have sent a request."""
    address = app.address
    clients = [Connection(address, timeout=5) for _ in range(count)]
    for client in clients:
        client.send()
    return clients


def readable(clients: list[Connection], timeout: float = 0.0) -> list[Connection]:
    """Return the clients to which something has come (or whose connection has ended)."""
    ready = set(select.select([client.sock for client in clients], [], [], timeout)[0])
    return [client for client in clients if client.sock in ready]


def is_answered(client: Connection) -> bool:
    """Say whether the client gets its response."""
    try:
        return client.receive().status == 200
    except OSError:
        return False


def lowest_free_fd(pid: int) -> int:
    """Return the descriptor that the process would open next."""
    used = processes.open_fds(pid)
    return next(number for number in range(len(used) + 1) if number not in used)
