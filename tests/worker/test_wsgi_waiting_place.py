"""A WSGI worker that is full leaves what waits in its channel, and takes it when it is done."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.http_exchange import read_response
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker
from tests.worker.test_inbox import STARVED_OFFSET
from tests.worker.test_taken_means_begun import asking_clients

# /block takes a byte from the gate, and waits until there is one.
BLOCKING = """
import os
os.chdir({directory!r})

def app(environ, start_response):
    if environ["PATH_INFO"] == "/block":
        gate = os.open("gate", os.O_RDONLY)
        os.read(gate, 1)
        os.close(gate)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@contextmanager
def wsgi_worker(directory: Path, threads: int = 1) -> Iterator[WorkerProcess]:
    """Run a worker whose app can be blocked."""
    os.mkfifo(directory / "gate")
    gate = os.open(directory / "gate", os.O_RDWR)  # what is written stays until it is read
    try:
        with serving_worker(directory, BLOCKING.format(directory=str(directory)), threads=threads) as worker:
            yield worker
    finally:
        os.close(gate)


def let_go(directory: Path, count: int = 1) -> None:
    """Let so many requests that block go on, also those that do not block yet."""
    (directory / "gate").write_bytes(bytes(count))


def wait_requests(worker: WorkerProcess, count: int) -> None:
    """Wait until so many requests have begun."""
    wait_until(lambda: worker.counters()["requests"] == count, f"{count} requests have begun")


def test_worker_that_is_full_takes_the_next_when_one_is_done(tmp_path: Path) -> None:
    with wsgi_worker(tmp_path, threads=2) as worker:
        clients = asking_clients(worker, "/block", "/block", "/block", "/")
        wait_requests(worker, 2)
        assert (worker.counters()["taken"], worker.counters()["busy"]) == (2, 2)
        let_go(tmp_path, 2)
        wait_requests(worker, 4)
        assert worker.counters()["taken"] == 4
        let_go(tmp_path)
        for client in clients:
            with client:
                assert read_response(client).body == b"ok"
        worker.wait_closed()


def test_one_at_a_time_in_order_without_end(tmp_path: Path) -> None:
    with wsgi_worker(tmp_path) as worker:
        for _ in range(5):
            for client in asking_clients(worker, *["/"] * 20):
                with client:
                    assert read_response(client).body == b"ok"
        worker.wait_closed()


def test_dispatcher_is_woken_once_for_an_end_and_what_is_taken_next(tmp_path: Path) -> None:
    with wsgi_worker(tmp_path) as worker:
        os.pwrite(worker.page_fd, (1).to_bytes(4, sys.byteorder), STARVED_OFFSET)
        clients = asking_clients(worker, "/block", *["/"] * 10)
        wait_requests(worker, 1)
        os.eventfd_read(worker.wakeup_fd)  # of the one that blocks
        let_go(tmp_path)
        for client in clients:
            assert read_response(client).body == b"ok"
        wait_until(lambda: worker.counters()["closed"] == 11, "nothing of them is open")
        assert os.eventfd_read(worker.wakeup_fd) <= 11
        for client in clients:
            client.close()
        worker.wait_closed()


def test_worker_that_is_full_sees_the_end_of_its_channel_and_takes_what_is_left(tmp_path: Path) -> None:
    with wsgi_worker(tmp_path) as worker:
        running, left = asking_clients(worker, "/block", "/")
        wait_requests(worker, 1)
        assert worker.counters()["taken"] == 1
        worker.drain()
        wait_until(lambda: worker.counters()["taken"] == 2, "it takes what is left, as no other worker will")
        let_go(tmp_path)
        for client in (running, left):
            with client:
                assert read_response(client).headers["connection"] == "close"
        assert worker.wait_exit() == 0
