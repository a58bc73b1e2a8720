"""Which Node worker gets connections of which listener."""

import socket

import pytest
from fastlb.lb.command import (
    EventName,
    Policy,
    WorkerBounds,
    encode_add_listener,
    encode_remove,
    encode_remove_listener,
)

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import NODE_BOUNDS, NodeChannelWorker, fill_channel, serve_until
from tests.support.waiting import wait_until

MANY = WorkerBounds(credit=128, capacity=0, max_connections=0)
ONE = WorkerBounds(credit=1, capacity=0, max_connections=0)


def start_serving(
    dispatcher: DispatcherProcess, *listeners: int, bounds: WorkerBounds = NODE_BOUNDS
) -> list[NodeChannelWorker]:
    """Add and admit one worker for each mask of listeners."""
    workers = [NodeChannelWorker(slot, 1000 + slot, bounds, mask) for slot, mask in enumerate(listeners)]
    for worker in workers:
        dispatcher.add_node_worker(worker)
    dispatcher.admit(*workers)
    return workers


def listen_on(dispatcher: DispatcherProcess, count: int) -> None:
    for listener_id in range(count):
        dispatcher.listen(listener_id)


@pytest.mark.parametrize("policy", Policy)
def test_connections_go_only_to_workers_that_serve_their_listener(policy: Policy) -> None:
    with DispatcherProcess(policy) as dispatcher:
        listen_on(dispatcher, 3)
        workers = start_serving(dispatcher, 0b001, 0b010, 0b101)
        clients = [dispatcher.connect(listener_id=number % 3)[0] for number in range(30)]
        served = 0
        while served < 30:
            wait_until(lambda: any(worker.read_once() for worker in workers), "the next connection")
            for worker in workers:
                worker.read_all()
                for connection in worker.taken:
                    with socket.socket(fileno=connection.fd) as theirs:
                        port = theirs.getsockname()[1]
                        theirs.detach()
                    listener_id = next(i for i, one in dispatcher.listeners.items() if one.getsockname()[1] == port)
                    assert worker.listeners >> listener_id & 1
                served += worker.serve_all()
        assert all(client.recv(4) == b"x" for client in clients)


def test_worker_that_serves_nothing_gets_nothing_until_it_does() -> None:
    with DispatcherProcess() as dispatcher:
        listen_on(dispatcher, 2)
        (worker,) = start_serving(dispatcher, 0)
        dispatcher.connect(listener_id=1)
        wakeups = dispatcher.wait_quiet()
        assert dispatcher.counters()["accepted"] == 0
        dispatcher.assert_silent(0.1)
        assert dispatcher.counters()["wakeups"] == wakeups
        dispatcher.serve(worker, 0b10)
        serve_until([worker], 1)
        dispatcher.connect(listener_id=0)
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 1
        dispatcher.serve(worker, 0b11)
        serve_until([worker], 1)


def test_full_worker_of_one_listener_does_not_stop_another() -> None:
    with DispatcherProcess() as dispatcher:
        listen_on(dispatcher, 2)
        full, other = start_serving(dispatcher, 0b01, 0b10)
        dispatcher.connect(listener_id=0, count=5)
        full.wait_taken(2)
        for _ in range(10):
            (client,) = dispatcher.connect(listener_id=1)
            serve_until([other], 1)
            assert client.recv(4) == b"x"
        full.read_all()
        assert len(full.taken) == 2
        serve_until([full], 5)


def test_connection_that_nobody_serves_any_more_waits_and_stops_nobody() -> None:
    with DispatcherProcess() as dispatcher:
        listen_on(dispatcher, 2)
        leaving, other = start_serving(dispatcher, 0b01, 0b10)
        (waiting,) = dispatcher.connect(listener_id=0)
        leaving.wait_taken(1)
        leaving.die()
        dispatcher.wait_event(EventName.WORKER_DIED)
        for _ in range(10):
            (client,) = dispatcher.connect(listener_id=1)
            serve_until([other], 1)
            assert client.recv(4) == b"x"
        assert dispatcher.counters()["held"] == 1
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.1)
        assert dispatcher.counters()["wakeups"] == wakeups
        dispatcher.serve(other, 0b11)
        serve_until([other], 1)
        assert waiting.recv(4) == b"x"


def test_held_connection_of_a_full_worker_does_not_stop_another_listener() -> None:
    with DispatcherProcess() as dispatcher:
        listen_on(dispatcher, 2)
        full, other, dying = start_serving(dispatcher, 0b01, 0b10, 0b01, bounds=ONE)
        waiting = dispatcher.connect(listener_id=0, count=2)
        full.wait_taken(1)
        dying.wait_taken(1)
        dying.die()
        dispatcher.wait_event(EventName.WORKER_DIED)
        for _ in range(10):
            (client,) = dispatcher.connect(listener_id=1)
            serve_until([other], 1)
            assert client.recv(4) == b"x"
        serve_until([full], 2)
        assert all(client.recv(4) == b"x" for client in waiting)


def test_removed_listener_takes_its_held_connections_along() -> None:
    with DispatcherProcess() as dispatcher:
        listen_on(dispatcher, 2)
        leaving, other = start_serving(dispatcher, 0b01, 0b10)
        clients = dispatcher.connect(listener_id=0, count=2)
        leaving.wait_taken(2)
        leaving.die()
        dispatcher.wait_event(EventName.WORKER_DIED)
        leaving.close()
        del dispatcher.workers[0]
        dispatcher.send(encode_remove(0, leaving.incarnation))
        dispatcher.send(encode_remove_listener(0))
        dispatcher.ping()
        dispatcher.listeners.pop(0).close()
        assert dispatcher.counters()["dropped"] == 2
        assert [client.recv(1) for client in clients] == [b"", b""]
        dispatcher.connect(listener_id=1)
        serve_until([other], 1)


def test_connection_of_a_removed_listener_that_is_refused_is_closed() -> None:
    """Nobody will ever serve it: a client that waits for that would wait for ever."""
    with DispatcherProcess() as dispatcher:
        listen_on(dispatcher, 2)
        worker, _ = start_serving(dispatcher, 0b01, 0b10)
        (client,) = dispatcher.connect(listener_id=0)
        (connection,) = worker.wait_taken(1)
        dispatcher.send(encode_remove_listener(0))
        dispatcher.serve(worker, 0)
        dispatcher.listeners.pop(0).close()
        worker.refuse(connection)
        assert client.recv(1) == b""
        dispatcher.ping()
        assert (dispatcher.counters()["dropped"], dispatcher.counters()["held"]) == (1, 0)


def test_listener_that_comes_back_has_its_new_key() -> None:
    with DispatcherProcess() as dispatcher:
        listener = dispatcher.listen(3)
        (worker,) = start_serving(dispatcher, 0b1000)
        dispatcher.connect(listener_id=3)
        assert worker.wait_taken(1)[0].key == 0
        worker.serve_all()
        dispatcher.send(encode_remove_listener(3))
        dispatcher.send(encode_add_listener(3, 77), [listener.fileno()])
        dispatcher.connect(listener_id=3)
        assert worker.wait_taken(1)[0].key == 77
        worker.serve_all()


def test_no_more_are_held_than_there_is_room_for() -> None:
    """As many as can be held wait for a listener that nobody serves, and a channel of another takes nothing."""
    with DispatcherProcess() as dispatcher:
        listen_on(dispatcher, 2)
        *dying, other = start_serving(dispatcher, *[0b01] * 8, 0b10, bounds=MANY)
        waiting = dispatcher.connect(listener_id=0, count=8 * 128)
        dispatcher.wait_dispatched(8 * 128)
        for worker in dying:
            worker.die()
            dispatcher.wait_event(EventName.WORKER_DIED)
        assert dispatcher.counters()["held"] == 8 * 128
        fill_channel(other)
        (client,) = dispatcher.connect(listener_id=1)
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.1)
        assert dispatcher.counters()["wakeups"] == wakeups
        other.read_all()
        dispatcher.serve(other, 0b11)
        serve_until([other], 8 * 128 + 1)
        assert all(client.recv(4) == b"x" for client in [client, *waiting])
