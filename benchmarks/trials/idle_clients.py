"""Trial 9: idle and silent clients do not own the threads of WSGI workers."""

import time
from collections.abc import Iterator

from tests.support.client import Connection, get
from tests.support.fastlb_process import Fastlb

from .finding import Finding, Scale

IDLE = 10
SILENT = 2
LONGEST_MS = 100.0


def run(scale: Scale) -> Iterator[Finding]:
    """Ask again and again while the others hold their connections."""
    with Fastlb() as fastlb:
        options = ("--workers", "2", "--threads", "1", "--timeout-keep-alive", "60")
        app = fastlb.start("wsgi_probe:app", *options)
        address = app.address
        idle = [Connection(address) for _ in range(IDLE)]
        for client in idle:
            client.exchange()
        silent = [Connection(address) for _ in range(SILENT)]
        waits_ms = []
        for _ in range(scale.of(100, least=20)):
            began = time.monotonic()
            get(address)
            waits_ms.append((time.monotonic() - began) * 1000)
        for client in [*idle, *silent]:
            client.close()
    promise = f"2 workers of 1 thread, {IDLE} idle and {SILENT} silent clients: a new one answered within 100 ms"
    first, slowest = waits_ms[0], max(waits_ms)
    yield Finding(promise, f"first {first:.1f} ms, slowest of {len(waits_ms)} {slowest:.1f} ms", slowest <= LONGEST_MS)
