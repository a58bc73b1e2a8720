"""A worker that runs short of descriptors stops taking, and loses nobody."""

import os
import resource
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.support.http_exchange import Response, exchange
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker
from tests.worker.test_asgi_serving import HELLO

CLIENTS = 300
FEW_FDS = 100


def hand_over_all(worker: WorkerProcess) -> list[socket.socket]:
    """Return CLIENTS connections which a thread hands over as fast as the channel takes them."""
    listener = worker.listeners[0]
    clients = [listener.connect() for _ in range(CLIENTS)]
    worker.dispatch()
    return clients


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_worker_with_few_descriptors_answers_every_client(tmp_path: Path, loop: str) -> None:
    with serving_worker(tmp_path, HELLO, loop=loop) as worker:
        hard = resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (FEW_FDS, hard))
        clients = hand_over_all(worker)
        wait_until(lambda: worker.counters()["pressure"], "the worker feels the pressure")
        assert worker.counters()["open"] < FEW_FDS
        answers: list[Response] = []
        # Each client stays open until it has its answer: descriptors are freed by and by.
        for client in clients:
            with client:
                answers.append(exchange(client))
        assert [answer.body for answer in answers] == [b"hello"] * CLIENTS
        worker.wait_closed()
        assert not worker.counters()["pressure"]


def test_descriptors_that_the_app_frees_end_the_pressure(tmp_path: Path) -> None:
    source = (
        HELLO
        + "\nimport os\nfds = [os.open('/dev/null', 0) for _ in range(80)]\n"
        + """
import asyncio, signal

def free():
    for fd in fds:
        os.close(fd)

asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, free)
"""
    )
    with serving_worker(tmp_path, source) as worker:
        hard = resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (FEW_FDS, hard))
        client = worker.connect()
        wait_until(lambda: worker.counters()["pressure"], "the worker feels the pressure")
        os.kill(worker.process.pid, signal.SIGUSR1)
        assert exchange(client).body == b"hello"


def test_many_clients_at_once_are_all_counted(tmp_path: Path) -> None:
    with serving_worker(tmp_path, HELLO) as worker:
        worker.dispatch()
        failures: list[BaseException] = []

        def ask() -> None:
            try:
                for _ in range(40):
                    with worker.listeners[0].connect() as client:
                        assert exchange(client).body == b"hello"
            except (OSError, AssertionError) as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        worker.wait_closed()
        assert worker.counters()["requests"] == 320
