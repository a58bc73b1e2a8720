"""What bounds a worker: credit, capacity, max_connections, pressure; where the rest waits; the wake-up."""

import os
import socket

from fastlb.lb.command import Policy, WorkerBounds, encode_pause, encode_resume

from tests.support.channel_worker import ChannelWorker
from tests.support.dispatcher_process import DispatcherProcess
from tests.support.waiting import wait_until

STRICT = WorkerBounds(credit=1, capacity=1, max_connections=0)


def wait_starved(dispatcher: DispatcherProcess) -> None:
    """Wait until the dispatcher sleeps because nobody may take a connection."""
    wait_until(lambda: dispatcher.counters()["starved"], "dispatcher starved")


def test_credit_bounds_untaken_connections() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, WorkerBounds(credit=5, capacity=0, max_connections=0))
        dispatcher.connect(count=12)
        wait_starved(dispatcher)
        assert dispatcher.counters()["accepted"] == 5
        message = worker.take()
        assert message is not None
        dispatcher.wait_dispatched(5 + len(message.connections))


def test_capacity_bounds_busy_and_untaken_connections() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, WorkerBounds(credit=16, capacity=3, max_connections=0))
        dispatcher.connect(count=8)
        wait_starved(dispatcher)
        assert dispatcher.counters()["accepted"] == 3
        worker.take_all()
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 3
        worker.status.record_busy(-1)
        dispatcher.wait_dispatched(4)


def test_max_connections_bounds_open_connections() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, WorkerBounds(credit=16, capacity=0, max_connections=4))
        dispatcher.connect(count=8)
        wait_starved(dispatcher)
        connections = worker.take_all()
        worker.status.record_busy(-4)
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 4
        worker.finish(connections[0])
        dispatcher.wait_dispatched(5)


def test_pressure_means_no_credit() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        pressed, other = dispatcher.start_workers(2)
        pressed.status.set_pressure(True)
        dispatcher.ping()
        dispatcher.connect(count=6)
        dispatcher.wait_dispatched(6)
        assert len(other.take_all()) == 6
        pressed.status.set_pressure(False)
        dispatcher.connect(count=2)
        dispatcher.wait_dispatched(8)
        assert len(pressed.take_all()) == 1


def test_without_workers_connections_wait_in_the_backlog() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (client,) = dispatcher.connect()
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 0
        (worker,) = dispatcher.start_workers(1)
        dispatcher.wait_dispatched(1)
        worker.take_all()
        worker.finish_all(b"late")
        assert client.recv(8) == b"late"


def test_starved_dispatcher_sleeps_without_timers() -> None:
    with DispatcherProcess(handover_timeout_ns=1_000_000) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(2, STRICT)
        dispatcher.connect(count=20)
        wait_starved(dispatcher)
        for worker in workers:
            worker.take_all()
        wakeups, cpu = dispatcher.wait_quiet(), dispatcher.cpu_seconds()
        dispatcher.connect(count=200)
        dispatcher.assert_silent(0.3)
        assert dispatcher.counters()["wakeups"] == wakeups
        assert dispatcher.cpu_seconds() == cpu


def test_idle_dispatcher_does_not_wake() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        dispatcher.start_workers(3)
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.3)
        assert dispatcher.counters()["wakeups"] == wakeups


def test_every_connection_is_served_one_at_a_time() -> None:
    """A lost wake-up would leave a free worker and a waiting client: this would not end."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(2, STRICT)
        total = 3000
        served = 0
        waiting: list[socket.socket] = []
        while served < total:
            while len(waiting) < 50 and served + len(waiting) < total:
                waiting += dispatcher.connect()
            worker = take_next(workers)
            worker.finish_all(b"x")
            served += 1
            waiting = waiting[1:]
        dispatcher.wait_dispatched(total)


def take_next(workers: list[ChannelWorker]) -> ChannelWorker:
    """Take one connection with whichever worker is given one first."""

    def taken() -> ChannelWorker | None:
        return next((worker for worker in workers if worker.take()), None)

    worker = wait_until(taken, "a connection for a free worker")
    assert worker is not None
    return worker


def test_pause_and_resume() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        dispatcher.start_workers(1)
        dispatcher.send(encode_pause())
        dispatcher.ping()
        dispatcher.connect(count=3)
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 0
        dispatcher.send(encode_resume())
        dispatcher.wait_dispatched(3)


def test_least_connections_counts_open_ones() -> None:
    with DispatcherProcess(Policy.LEAST_CONNECTIONS) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(4, WorkerBounds(credit=64, capacity=0, max_connections=0))
        for worker in workers:
            worker.status.record_taken(0, 20 if worker.slot == 0 else 0)
        dispatcher.ping()
        dispatcher.connect(count=30)
        dispatcher.wait_dispatched(30)
        assert [len(worker.take_all()) for worker in workers] == [0, 10, 10, 10]


def test_nonblocking_listener_and_descriptors_are_closed_on_exec() -> None:
    with DispatcherProcess() as dispatcher:
        listener = dispatcher.listen()
        (worker,) = dispatcher.start_workers(1)
        dispatcher.connect()
        dispatcher.wait_dispatched(1)
        (connection,) = worker.take_all()
        assert not os.get_blocking(connection.fd)
        assert not os.get_blocking(listener.fileno())
