"""What bounds a worker: credit, capacity, max_connections, pressure; where the rest waits; the wake-up."""

import os
import socket

import pytest
from fastlb.lb.command import EventName, Policy, WorkerBounds, encode_pause, encode_resume

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
        while len(worker.taken) < 3:
            wait_until(worker.take, "what was sent")
        dispatcher.wait_dispatched(4)  # one waits for the first that is done
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 4
        worker.status.record_busy(-1)
        dispatcher.wait_dispatched(5)


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


@pytest.mark.parametrize(
    "bounds",
    [
        WorkerBounds(credit=4, capacity=0, max_connections=0),
        WorkerBounds(credit=16, capacity=4, max_connections=0),
        WorkerBounds(credit=16, capacity=0, max_connections=4),
    ],
)
def test_bounds_hold_when_another_workers_channel_breaks_in_the_same_turn(bounds: WorkerBounds) -> None:
    """What is chosen for a worker and not sent yet counts when the workers are listed anew."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        broken, whole = dispatcher.start_workers(2, bounds)
        dispatcher.send(encode_pause())
        dispatcher.connect(count=8)
        broken.channel.shutdown(socket.SHUT_RDWR)
        dispatcher.send(encode_resume())
        dispatcher.wait_event(EventName.CHANNEL_CLOSED, slot=0)
        dispatcher.ping()
        assert dispatcher.slot(whole)["untaken"] == 4
        assert dispatcher.counters()["held"] == 4
        arrived = 0

        def all_arrived() -> bool:
            nonlocal arrived
            arrived += len(whole.take_all())
            whole.finish_all()
            return arrived == 8

        wait_until(all_arrived, "all connections arrived")


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


def test_a_position_counts_as_far_as_we_sent_and_never_back() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, WorkerBounds(credit=2, capacity=0, max_connections=0))
        worker.status.record_taken((1 << 40) + 1000, 0)
        dispatcher.ping()
        dispatcher.connect(count=2)
        dispatcher.wait_dispatched(2)
        assert dispatcher.slot(worker)["untaken"] == 2
        worker.status.record_taken((1 << 40) + 2, 0)
        dispatcher.ping()
        assert dispatcher.slot(worker)["untaken"] == 0
        worker.status.record_taken((1 << 40) + 1, 0)
        dispatcher.ping()
        assert dispatcher.slot(worker)["untaken"] == 0
        dispatcher.connect(count=2)
        dispatcher.wait_dispatched(4)
        assert len(worker.take_all()) == 4


def test_more_busy_than_we_calculate_with_is_not_idle() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, WorkerBounds(credit=2, capacity=1, max_connections=0))
        worker.status.record_busy(1 << 32)
        dispatcher.ping()
        dispatcher.connect()
        wait_starved(dispatcher)
        assert dispatcher.counters()["accepted"] == 0


def test_more_closed_than_taken_is_none_open() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, WorkerBounds(credit=2, capacity=0, max_connections=1))
        worker.status.record_closed()
        dispatcher.ping()
        dispatcher.connect()
        dispatcher.wait_dispatched(1)
