"""The fenced wake-up between dispatcher and workers, with real concurrency: a lost one would leave a client waiting
for ever although a worker is free."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fastlb.lb.command import EventName, WorkerBounds

from tests.support.channel_worker import ChannelWorker
from tests.support.dispatcher_process import DispatcherProcess
from tests.support.waiting import scaled

ONE = WorkerBounds(credit=1, capacity=1, max_connections=0)
CLIENTS = 4
CONNECTIONS = 2500  # of each client


@contextmanager
def serving(worker: ChannelWorker, wakeup_fd: int) -> Iterator[None]:
    """Have a process of its own serve a worker's channel until it is drained."""
    fds = [worker.channel.fileno(), worker.page_fd, wakeup_fd]
    command = [sys.executable, "-m", "tests.support.one_at_a_time", *map(str, fds)]
    with subprocess.Popen(command, pass_fds=fds) as process:
        try:
            yield
            assert process.wait(scaled(10)) == 0
        finally:
            process.kill()


def one_after_the_other(address: tuple[str, int], answered: list[int]) -> None:
    """Connect, wait for the answer, and again; append how many were answered."""
    count = 0
    try:
        for _ in range(CONNECTIONS):
            with socket.create_connection(address, timeout=scaled(10)) as client:
                count += client.recv(1) == b"x"
    finally:
        answered.append(count)


def test_no_wakeup_is_lost() -> None:
    with DispatcherProcess() as dispatcher, ExitStack() as processes:
        address = dispatcher.listen().getsockname()
        workers = dispatcher.start_workers(2, ONE)
        for worker in workers:
            processes.enter_context(serving(worker, dispatcher.wakeup_fd))
        answered: list[int] = []
        clients = [threading.Thread(target=one_after_the_other, args=(address, answered)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert answered == [CONNECTIONS] * CLIENTS
        for worker in workers:
            dispatcher.drain(worker)
            dispatcher.wait_event(EventName.DRAINED)
