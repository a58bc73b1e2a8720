"""Policies, batches, listeners and rounds as a whole: counted at the workers' ends of the channels."""

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastlb.lb.command import (
    EventName,
    Policy,
    WorkerBounds,
    encode_pause,
    encode_remove_listener,
    encode_resume,
    encode_set_policy,
)
from fastlb.lb.page import split_position

from tests.support.channel_worker import ChannelWorker
from tests.support.dispatcher_process import DispatcherProcess
from tests.support.waiting import scaled

DEEP = WorkerBounds(credit=128, capacity=0, max_connections=0)
CLIENTS = [f"127.0.{third}.{fourth}" for third in range(1, 5) for fourth in range(1, 21)]


def connect_from(dispatcher: DispatcherProcess, client_address: str) -> socket.socket:
    """Connect from one of the many loopback addresses."""
    address = dispatcher.listeners[0].getsockname()
    client = socket.create_connection(address, timeout=scaled(10), source_address=(client_address, 0))
    dispatcher.clients.append(client)
    return client


def own_workers(dispatcher: DispatcherProcess, workers: list[ChannelWorker]) -> dict[str, int]:
    """Connect once from each client address; return which worker each got."""
    # Not by what is untaken: a dispatcher that has had no time since says what it said the last time.
    before = dispatcher.counters()["dispatched"]
    for client in CLIENTS:
        connect_from(dispatcher, client)
    dispatcher.wait_dispatched(before + len(CLIENTS))
    owners: dict[str, int] = {}
    for worker in workers:
        for connection in worker.take_all():
            owners[socket.inet_ntoa(connection.address[:4])] = worker.slot
            worker.finish(connection)
    return owners


@contextmanager
def paused(dispatcher: DispatcherProcess) -> Iterator[None]:
    """Let connections gather in the backlog meanwhile."""
    dispatcher.send(encode_pause())
    dispatcher.ping()
    yield
    dispatcher.send(encode_resume())
    dispatcher.ping()


def test_round_robin_is_exact_over_sequential_connections() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(4)
        served = [0, 0, 0, 0]
        for number in range(1, 401):
            dispatcher.connect()
            dispatcher.wait_dispatched(number)
            for worker in workers:
                served[worker.slot] += len(worker.take_all())
                worker.finish_all()
        assert served == [100, 100, 100, 100]


def test_round_robin_goes_on_where_it_was_when_a_worker_leaves() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(3)
        for number in (1, 2):
            dispatcher.connect()
            dispatcher.wait_dispatched(number)
        for worker in workers:
            worker.take_all()
        dispatcher.drain(workers[0])
        dispatcher.wait_event(EventName.DRAINED)
        dispatcher.connect()
        dispatcher.wait_dispatched(3)
        assert len(workers[2].take_all()) == 1


def test_ip_hash_is_sticky_and_losing_a_worker_moves_only_its_clients() -> None:
    with DispatcherProcess(Policy.IP_HASH) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(4, DEEP)
        before = own_workers(dispatcher, workers)
        assert own_workers(dispatcher, workers) == before
        assert set(before.values()) == {0, 1, 2, 3}
        workers[2].kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        after = own_workers(dispatcher, workers)
        assert all(after[client] == owner for client, owner in before.items() if owner != 2)
        assert dispatcher.counters()["unsticky"] == 0


def test_ip_hash_keeps_clients_across_a_reload() -> None:
    """A new incarnation in another slot with the same hash key gets the same clients."""
    with DispatcherProcess(Policy.IP_HASH) as dispatcher:
        dispatcher.listen()
        old = [dispatcher.new_worker(slot, DEEP, hash_key=slot) for slot in range(3)]
        dispatcher.admit(*old)
        before = own_workers(dispatcher, old)
        new = [dispatcher.new_worker(10 + worker, DEEP, hash_key=worker) for worker in range(3)]
        for leaving, coming in zip(old, new, strict=True):
            dispatcher.admit(coming)
            dispatcher.drain(leaving)
        dispatcher.ping()
        assert own_workers(dispatcher, new) == {client: 10 + owner for client, owner in before.items()}


def test_ip_hash_waits_up_to_128_and_then_goes_on() -> None:
    with DispatcherProcess(Policy.IP_HASH) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(2, WorkerBounds(credit=4, capacity=0, max_connections=0))
        dispatcher.connect(count=130)
        dispatcher.wait_dispatched(130)
        assert sorted(dispatcher.slot(worker)["untaken"] for worker in workers) == [2, 128]
        assert dispatcher.counters()["unsticky"] == 2


def test_one_message_carries_at_most_sixteen() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, DEEP)
        with paused(dispatcher):
            dispatcher.connect(count=40)
        dispatcher.wait_dispatched(40)
        sizes = []
        while (message := worker.take()) is not None:
            sizes.append(len(message.connections))
        assert sizes == [16, 16, 8]


def test_one_sweep_makes_one_message_for_each_worker() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(4)
        with paused(dispatcher):
            dispatcher.connect(count=20)
        dispatcher.wait_dispatched(20)
        messages = [worker.take() for worker in workers]
        assert [message and len(message.connections) for message in messages] == [5, 5, 5, 5]


def test_a_turn_accepts_64_of_a_listener_before_the_next_has_its_turn() -> None:
    with DispatcherProcess() as dispatcher:
        for listener_id in range(2):
            dispatcher.listen(listener_id)
        (worker,) = dispatcher.start_workers(1, DEEP)
        with paused(dispatcher):
            dispatcher.connect(listener_id=0, count=70)
            dispatcher.connect(listener_id=1, count=50)
        dispatcher.wait_dispatched(120)
        origins = [connection.listener_id for connection in worker.take_all()]
        first = origins[0]
        assert origins.index(1 - first) == (64, 50)[first]


def test_position_counts_connections_of_an_incarnation() -> None:
    with DispatcherProcess(epoch=3) as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1)
        for number in range(1, 6):
            dispatcher.connect()
            dispatcher.wait_dispatched(number)
            message = worker.take()
            assert message is not None
            assert message.position == (3 << 40) + number
            assert split_position(message.position) == (3, number)


def test_change_of_policy_takes_effect_at_once() -> None:
    with DispatcherProcess(Policy.ROUND_ROBIN) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(2, DEEP)
        dispatcher.send(encode_set_policy(Policy.IP_HASH))
        dispatcher.ping()
        dispatcher.connect(count=10)
        dispatcher.wait_dispatched(10)
        assert sorted(len(worker.take_all()) for worker in workers) == [0, 10]


@pytest.mark.parametrize("host", ["::1", "dual"])
def test_ipv6_listener_tells_the_peers_address(host: str) -> None:
    dual = host == "dual"
    with DispatcherProcess() as dispatcher:
        listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) if dual else None
        if listener is None:
            dispatcher.listen(0, socket.AF_INET6)
        else:
            dispatcher.give_listener(0, listener)
        (worker,) = dispatcher.start_workers(1)
        port = dispatcher.listeners[0].getsockname()[1]
        dispatcher.clients.append(socket.create_connection(("127.0.0.1" if dual else host, port)))
        worker.take_until(1)
        expected = "::ffff:127.0.0.1" if dual else host
        assert worker.taken[0].family == socket.AF_INET6
        assert worker.taken[0].address == socket.inet_pton(socket.AF_INET6, expected)


def test_unix_listener() -> None:
    with DispatcherProcess() as dispatcher, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "app.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        dispatcher.give_listener(0, listener)
        (worker,) = dispatcher.start_workers(1)
        client = socket.socket(socket.AF_UNIX)
        dispatcher.clients.append(client)
        client.connect(path)
        worker.take_until(1)
        assert worker.taken[0].family == socket.AF_UNIX
        assert worker.taken[0].address == bytes(16)


def test_removed_listener_accepts_no_more_and_resets_nobody() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen(0)
        dispatcher.listen(1)
        (worker,) = dispatcher.start_workers(1)
        dispatcher.send(encode_remove_listener(0))
        dispatcher.ping()
        listener = dispatcher.listeners.pop(0)
        client = socket.create_connection(listener.getsockname())
        dispatcher.connect(listener_id=1)
        worker.take_until(1)
        assert worker.taken[0].listener_id == 1
        dispatcher.give_listener(2, listener)  # what waited in the backlog is still there
        worker.take_until(2)
        client.close()


def is_reset(address: tuple[str, int]) -> bool:
    """Whether a client is reset at once: in the middle of its connect, or later."""
    try:
        with socket.create_connection(address, timeout=scaled(10)) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return not client.recv(1)
    except (ConnectionResetError, BrokenPipeError):
        return True


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_listener_that_refuses_resets_everyone_and_needs_no_worker(family: socket.AddressFamily) -> None:
    with DispatcherProcess() as dispatcher:
        listener = dispatcher.listen(0, family)
        (waiting,) = dispatcher.connect()
        dispatcher.send(encode_remove_listener(0))
        dispatcher.give_listener(0, listener, refuses=True)
        with pytest.raises(ConnectionResetError):
            waiting.recv(1)
        address = listener.getsockname()[:2]
        for _ in range(200):
            assert is_reset(address)
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.1)
        assert dispatcher.counters()["wakeups"] == wakeups, "it sleeps meanwhile"
        dispatcher.send(encode_remove_listener(0))
        dispatcher.give_listener(0, listener)
        (worker,) = dispatcher.start_workers(1)
        dispatcher.connect()
        worker.take_until(1)


def test_listener_that_refuses_does_not_keep_another_from_being_served() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen(0)
        listener = dispatcher.listen(1)
        dispatcher.send(encode_remove_listener(1))
        dispatcher.give_listener(1, listener, refuses=True)
        (worker,) = dispatcher.start_workers(1, WorkerBounds(credit=1, capacity=0, max_connections=0))
        dispatcher.connect(count=2)  # the second waits
        dispatcher.wait_dispatched(1)
        assert is_reset(listener.getsockname())
        worker.take_until(2)


def test_connections_of_a_removed_listener_are_dropped_when_the_last_worker_has_died() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1)
        client, *_ = dispatcher.connect(count=3)
        dispatcher.wait_dispatched(3)
        dispatcher.send(encode_remove_listener(0))
        dispatcher.ping()
        assert dispatcher.slot(worker)["untaken"] == 3, "as long as it lives they are its own"
        worker.kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        assert client.recv(1) == b""
        assert dispatcher.counters()["dropped"] == 3
        dispatcher.listeners.pop(0).close()


def test_signals_of_a_terminal_do_not_end_it() -> None:
    with DispatcherProcess() as dispatcher:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGPIPE):
            dispatcher.process.send_signal(number)
        dispatcher.ping()
