"""Bodies that are larger than memory: whole, in order, written beside the event loop, bounded, and gone at the end."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastlb.lb.page import WorkerStatus, create_worker_page
from fastlb.worker.wsgi.body_spool import MOST_WAITING_BYTES

from tests.support.raw_http import RawClient, get, request
from tests.support.waiting import scaled, wait_until
from tests.support.worker_process import serving_worker
from tests.support.wsgi_probe import Probe, hello
from tests.worker.test_wsgi_stalls import LocalServer, PlacedConnection

MEBIBYTE = 1024 * 1024
# What may be under way beside what waits for the disk: one read of the event loop.
READ_BYTES = 256 * 1024
SMALL_DISK = """
import resource

# Python ignores SIGXFSZ: a longer file fails as on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))

def app(environ, start_response):
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", [])
    return [b"hello" if environ["PATH_INFO"] == "/hello" else str(size).encode()]
"""


def digest(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with a digest of the body, read in lines and blocks."""
    found, source = hashlib.sha256(), environ["wsgi.input"]
    found.update(source.readline())
    while block := source.read(100_000):
        found.update(block)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [found.hexdigest().encode()]


@pytest.fixture
def server() -> Iterator[LocalServer]:
    page_fd, wakeup_fd = create_worker_page(), os.eventfd(0, os.EFD_NONBLOCK)
    local = LocalServer(digest, WorkerStatus(page_fd, wakeup_fd))
    yield local
    local.close()
    os.close(page_fd)
    os.close(wakeup_fd)


class BusyDisk:
    """A job of the writer's thread which ends when it is let go: as a disk that takes nothing."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def run(self) -> None:
        """Wait."""
        self.begun.set()
        self.let_go.wait(scaled(30))


@pytest.fixture
def disk(server: LocalServer) -> Iterator[BusyDisk]:
    disk = BusyDisk()
    server.loop.call_soon_threadsafe(server.service.body_writer.submit, disk)
    assert disk.begun.wait(scaled(5))
    yield disk
    disk.let_go.set()


def upload(size: int, *headers: str) -> bytes:
    return request("POST", "/", f"Content-Length: {size}", *headers)


def body_of(size: int) -> bytes:
    return b"line\n" + b"".join(index.to_bytes(4) for index in range(size // 4 + 1))[: size - 5]


def held_bytes(server: LocalServer) -> int:
    """Return how much has been read of bodies that are not whole."""
    bodies = [connection.body for connection in server.service.connections]
    return sum(body.size for body in bodies if body)


def test_quick_client_has_a_small_share_of_each_turn_of_the_loop(server: LocalServer) -> None:
    turns = [0]

    def count_turns() -> None:
        turns.append(0)
        server.loop.call_soon(count_turns)

    class Counted(PlacedConnection):
        def data_received(self, data: bytes) -> None:
            turns[-1] += len(data)
            super().data_received(data)

    server.connection_class = Counted
    server.loop.call_soon_threadsafe(count_turns)
    body = body_of(30 * MEBIBYTE)
    with server.client(upload(len(body)) + body) as client:
        assert client.response().body == hashlib.sha256(body).hexdigest().encode()
    assert sum(turns) > len(body)
    assert max(turns) <= READ_BYTES


@pytest.mark.parametrize("size", [65_537, 3 * MEBIBYTE, 20 * MEBIBYTE])
def test_body_on_disk_is_what_was_sent(server: LocalServer, size: int) -> None:
    body = body_of(size)
    with server.client(upload(size) + body + upload(7) + b"a\nsmall") as client:
        assert client.response().body == hashlib.sha256(body).hexdigest().encode()
        assert client.response().body == hashlib.sha256(b"a\nsmall").hexdigest().encode()


def test_many_uploads_at_a_time_are_kept_apart(server: LocalServer) -> None:
    bodies = [bytes([index]) * (index * 400_000 + 70_000) for index in range(8)]
    found: dict[int, bytes] = {}

    def send(index: int) -> None:
        with server.client(upload(len(bodies[index])) + bodies[index]) as client:
            found[index] = client.response().body

    threads = [threading.Thread(target=send, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(20))
    assert found == {index: hashlib.sha256(body).hexdigest().encode() for index, body in enumerate(bodies)}


def test_client_waits_for_a_slow_disk_and_nobody_else_does(server: LocalServer, disk: BusyDisk) -> None:
    body = body_of(40 * MEBIBYTE)
    client = server.client(upload(len(body)))
    sender = threading.Thread(target=client.socket.sendall, args=(body,))
    sender.start()
    wait_until(lambda: held_bytes(server) >= MOST_WAITING_BYTES, "as much is held as may be")
    with server.client(get("/")) as other:
        for _ in range(3):
            assert other.response().status == 200
            other.send(get("/"))
    # Longer than the stall timeout of this server: it is not the client that is late.
    silent = server.client(b"GET / HT")
    assert silent.response().status == 408
    silent.socket.close()
    assert held_bytes(server) <= MOST_WAITING_BYTES + READ_BYTES
    assert sender.is_alive()
    disk.let_go.set()
    with client:
        assert client.response().body == hashlib.sha256(body).hexdigest().encode()
    sender.join(scaled(5))


def test_client_that_leaves_while_the_disk_is_slow_is_forgotten(server: LocalServer, disk: BusyDisk) -> None:
    client = server.client(upload(MEBIBYTE) + b"x" * 600_000)
    wait_until(lambda: server.service.connections and held_bytes(server) == 600_000, "all that was sent is read")
    before = len(os.listdir("/proc/self/fd"))
    client.leave()
    wait_until(lambda: not server.service.connections, "the connection is forgotten")
    disk.let_go.set()
    # The connection's descriptor is gone, and the file has none.
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before - 1, "no descriptor is left")


def test_whole_body_that_waits_for_the_disk_comes_in_its_turn(server: LocalServer, disk: BusyDisk) -> None:
    body = body_of(300_000)
    with server.client(upload(len(body)) + body + get("/")) as client:
        # The app's thread writes what the busy writer has not: a request waits for nobody else's body.
        assert client.response().body == hashlib.sha256(body).hexdigest().encode()
        assert client.response().body == hashlib.sha256(b"").hexdigest().encode()


@pytest.mark.parametrize("size", [2 * MEBIBYTE + 1, 2 * MEBIBYTE + 70_000, 30 * MEBIBYTE])
def test_full_disk_is_a_507_and_the_worker_goes_on(tmp_path: Path, size: int) -> None:
    with serving_worker(tmp_path, SMALL_DISK, interface="wsgi") as worker:
        probe = Probe(worker, tmp_path)
        with probe.client(upload(size)) as client:
            sender = threading.Thread(target=send_what_goes, args=(client, b"x" * size))
            sender.start()
            assert client.response().status == 507
            sender.join(scaled(10))
        hello(probe)
        assert probe.ask(upload(MEBIBYTE) + b"x" * MEBIBYTE).body == str(MEBIBYTE).encode()
        assert probe.wait_log("a request body could not be stored: [Errno 27] File too large").count("Errno 27") == 1


def send_what_goes(client: RawClient, data: bytes) -> None:
    """Send until the server has enough."""
    with contextlib.suppress(OSError):
        client.socket.sendall(data)
