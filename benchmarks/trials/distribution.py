"""Trial 2: who gets which connection, for each policy."""

import os
import signal
from collections import Counter
from collections.abc import Iterator

from tests.support.client import Connection, get
from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import wait_until

from .finding import Finding, Scale

WORKERS = 4
# The policies are tried here, not whether a worker gets a CPU within 5 ms.
PATIENT = ("--handover-timeout", "5")
HELD = 20
NEXT = 30
CLIENT_ADDRESSES = 200


def run(scale: Scale) -> Iterator[Finding]:
    """Try the three policies."""
    yield round_robin(scale.of(12_000))
    yield least_connections()
    yield from ip_hash()


def round_robin(connections: int) -> Finding:
    """Sequential connections are spread evenly."""
    with Fastlb() as fastlb:
        app = fastlb.start("asgi_probe:app", "--workers", str(WORKERS), *PATIENT)
        address = app.address
        counts = Counter(get(address).json()["worker"] for _ in range(connections))
    share = connections // WORKERS
    ok = len(counts) == WORKERS and all(abs(count - share) <= 1 for count in counts.values())
    promise = f"round-robin: {connections} sequential connections, {share} (+-1) for each of {WORKERS} workers"
    return Finding(promise, ", ".join(str(counts[worker]) for worker in range(WORKERS)), ok)


def least_connections() -> Finding:
    """Connections held on one worker send the next ones to the others."""
    with Fastlb() as fastlb:
        options = ("--balance", "least-connections", "--timeout-keep-alive", "60", *PATIENT)
        app = fastlb.start("asgi_probe:app", *options)
        held = [Connection(app.address) for _ in range(HELD)]
        busy = {client.exchange().json()["worker"] for client in held}
        app.ok("scale", str(WORKERS))
        following = [Connection(app.address) for _ in range(NEXT)]
        counts = Counter(client.exchange().json()["worker"] for client in following)
        for client in [*held, *following]:
            client.close()
    ok = not busy & set(counts) and len(counts) == WORKERS - 1
    promise = f"least-connections: {HELD} held on one worker, the next {NEXT} go to the others"
    return Finding(promise, f"held on {sorted(busy)}, next on {dict(sorted(counts.items()))}", ok)


def ip_hash() -> Iterator[Finding]:
    """The same client gets the same worker; the loss of a worker moves only its clients."""
    with Fastlb() as fastlb:
        options = ("--balance", "ip-hash", "--workers", str(WORKERS), "--restart-delay", "5")
        app = fastlb.start("asgi_probe:app", *options)
        first = workers_of_clients(app)
        again = [workers_of_clients(app) for _ in range(5)]
        moved = sum(first[client] != seen[client] for seen in again for client in first)
        spread = ", ".join(str(count) for _, count in sorted(Counter(first.values()).items()))
        yield Finding("ip-hash: a client always gets the same worker", f"{moved} moved; spread {spread}", moved == 0)
        lost = 1
        os.kill(app.worker_pids[lost], signal.SIGKILL)
        wait_until(lambda: len(app.worker_pids) == WORKERS - 1, "one worker is lost")
        after = workers_of_clients(app)
        moved_others = sum(first[c] != after[c] for c in first if first[c] != lost)
        moved_own = sum(after[c] != lost for c in first if first[c] == lost)
        own = sum(worker == lost for worker in first.values())
        ok = moved_others == 0 and moved_own == own
        measured = f"{moved_own} of its {own} moved, {moved_others} of the others' {len(first) - own}"
        yield Finding("ip-hash: losing one worker of four moves only its clients", measured, ok)


def workers_of_clients(app: App) -> dict[str, int]:
    """Return which worker each client address gets."""
    address = app.address
    clients = [f"127.0.{n // 250 + 1}.{n % 250 + 1}" for n in range(CLIENT_ADDRESSES)]
    return {client: get(address, source=client).json()["worker"] for client in clients}
