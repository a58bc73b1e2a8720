"""The fenced wake-up between dispatcher and workers, with real concurrency: a lost one would leave a client waiting
for ever although a worker is free."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from fastlb.lb.command import EventName, WorkerBounds

from tests.support.channel_worker import ChannelWorker
from tests.support.dispatcher_process import DispatcherProcess
from tests.support.waiting import scaled, wait_until

ONE = WorkerBounds(credit=1, capacity=1, max_connections=0)
CLIENTS = 4
CONNECTIONS = 2500  # of each client
HIGHEST_COUNT = 2**64 - 2  # eventfd(2)


@contextmanager
def serving(worker: ChannelWorker) -> Iterator[None]:
    """Have a process of its own serve a worker's channel until it is drained."""
    fds = [worker.channel.fileno(), worker.page_fd, worker.wakeup_fd]
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
            processes.enter_context(serving(worker))
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


def fill(fd: int) -> None:
    """Bring the count of an eventfd to its highest: another write would wait, or fail."""
    os.eventfd_write(fd, HIGHEST_COUNT)


def fill_and_block(fd: int) -> None:
    """As `fill`, and clear O_NONBLOCK, which all who have the eventfd share."""
    fill(fd)
    os.set_blocking(fd, True)


def empty(fd: int) -> None:
    """Read what was written."""
    os.eventfd_write(fd, 1)
    assert os.eventfd_read(fd)


@pytest.mark.parametrize("spoil", [fill, fill_and_block, empty])
def test_worker_that_spoils_its_wakeup_keeps_no_other_from_waking_us(spoil: Callable[[int], None]) -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        spoiled, honest = dispatcher.start_workers(2, ONE)
        spoil(spoiled.wakeup_fd)
        dispatcher.connect(count=20)
        for served in range(1, 20):
            wait_until(honest.take, f"connection {served} for the worker that wakes us")
            if served < 19:  # behind the last one there is a place left, where another could wait
                wait_until(lambda: dispatcher.counters()["starved"], "no worker has room")
            honest.finish_all()
        # Whoever takes while nobody has room writes to its wake-up, and would wait there for ever.
        wait_until(lambda: not dispatcher.counters()["starved"], "the one that wakes us has room")
        # The spoiled one has lost nothing that others could not wake us for.
        wait_until(spoiled.take, "its own connection")


def test_worker_whose_wakeup_was_full_wakes_us_again_once_it_has_been_emptied() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, ONE)
        fill(worker.wakeup_fd)
        assert os.eventfd_read(worker.wakeup_fd)
        dispatcher.connect(count=2)
        wait_until(worker.take, "the first connection")
        wait_until(lambda: dispatcher.counters()["starved"], "it has no room")
        worker.finish_all()
        wait_until(worker.take, "the second one")
