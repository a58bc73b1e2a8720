"""Trial 26: idle connections cost a worker little memory, and what is over costs it none."""

import contextlib
import socket
from collections.abc import Callable, Iterator

from tests.support import processes
from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Address
from tests.support.waiting import wait_until

from .finding import Finding, Scale

IDLE_CONNECTION_BYTES = 4096
# What allocators of C and Python keep for the next request differs by some pages from look to look.
GROWTH_BYTES = 1 << 20
REQUEST = b"GET /plain HTTP/1.1\r\nHost: trial\r\n\r\n"
PIPELINED = 50
RESET = b"\x01\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds
PATIENT = ("--timeout-keep-alive", "600", "--stall-timeout", "600")
TARGETS = {"ASGI": "asgi_probe:app", "WSGI": "wsgi_probe:app"}


def run(scale: Scale) -> Iterator[Finding]:
    """Try both interfaces, each in one worker."""
    for interface, target in TARGETS.items():
        with Fastlb() as fastlb:
            app = fastlb.start(target, "--workers", "1", *PATIENT)
            ask_again_and_again(app.address, scale.of(20_000))
            connect_again_and_again(app.address, scale.of(5_000))
            yield idle(app, interface, scale.of(10_000))
            for what, count, load in (
                ("requests", scale.of(1_000_000), ask_again_and_again),
                ("connections", scale.of(100_000), connect_again_and_again),
            ):
                yield unchanged(app, f"{interface}: {count:,} {what}", lambda: load(app.address, count))  # noqa: B023


def idle(app: App, interface: str, count: int) -> Finding:
    """Return what one of `count` idle connections costs."""
    before = settled_bytes(app)
    with contextlib.ExitStack() as clients:
        for _ in range(count):
            client = clients.enter_context(connect(app.address))
            exchange(client)
        each = (processes.rss_bytes(app.worker_pids[0]) - before) / count
        promise = f"{interface}: {count:,} idle keep-alive connections: {IDLE_CONNECTION_BYTES} bytes of RSS each"
    return Finding(promise, f"{each:.0f} bytes", each <= IDLE_CONNECTION_BYTES)


def unchanged(app: App, what: str, load: Callable[[], None]) -> Finding:
    """Return whether the worker's memory is after `load` what it was."""
    before = settled_bytes(app)
    load()
    after = settled_bytes(app)
    measured = f"RSS {before / 2**20:.2f} -> {after / 2**20:.2f} MiB"
    return Finding(f"{what} leave RSS where it was, within 1 MiB", measured, after - before <= GROWTH_BYTES)


def settled_bytes(app: App) -> int:
    """Return the worker's memory when it has no connection."""

    def connections() -> int:
        return sum(worker["connections"] or 0 for worker in app.show()["workers"])

    wait_until(lambda: connections() == 0, "no connection is open", 60)
    return processes.rss_bytes(app.worker_pids[0])


def connect(address: Address) -> socket.socket:
    """Return a connection."""
    assert not isinstance(address, str)
    return socket.create_connection(address)


def exchange(client: socket.socket) -> int:
    """Ask once; return the length of the answer, which comes in one piece."""
    client.sendall(REQUEST)
    return len(client.recv(65536))


def ask_again_and_again(address: Address, count: int) -> None:
    """Ask `count` times on one connection, many at once."""
    with connect(address) as client:
        length = exchange(client)
        for _ in range(count // PIPELINED):
            client.sendall(REQUEST * PIPELINED)
            left = PIPELINED * length
            while left:
                left -= len(client.recv(left))


def connect_again_and_again(address: Address, count: int) -> None:
    """Ask once on each of `count` connections, and reset it."""
    for _ in range(count):
        with connect(address) as client:
            exchange(client)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
