"""Connections that a Node worker does not take: whom they go to, which one an answer is about, and lies."""

import os
import socket
from collections.abc import Callable

import pytest
from fastlb.lb.command import EventName, WorkerBounds

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import (
    MISSED,
    PROBE,
    RECEIVED,
    AnnouncedConnection,
    NodeChannelWorker,
    serve_until,
)

Refusal = Callable[[NodeChannelWorker, AnnouncedConnection], None]
Lie = Callable[[AnnouncedConnection, AnnouncedConnection], list[bytes]]
REFUSALS = [
    pytest.param(NodeChannelWorker.refuse, id="refused"),
    pytest.param(NodeChannelWorker.miss, id="missed"),
]
TIMES = 20
BACKOFF_NS = 10_000_000
ONE = WorkerBounds(credit=1, capacity=0, max_connections=0)
THREE = WorkerBounds(credit=3, capacity=0, max_connections=0)
SHARED = b'{"cmd":"NODE_HANDLE","type":"dgram.Native","msg":{"cmd":"NODE_CLUSTER","key":"9","ack":3}}'


@pytest.mark.parametrize("how", REFUSALS)
def test_connection_that_one_does_not_take_goes_to_another(how: Refusal) -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        unwilling, other = dispatcher.start_node_workers(2)
        (client,) = dispatcher.connect()
        (connection,) = unwilling.wait_taken(1)
        how(unwilling, connection)
        other.wait_taken(1)
        other.serve_all(b"taken")
        assert client.recv(8) == b"taken"
        assert dispatcher.slot(unwilling)["refused"] == 1
        assert dispatcher.counters()["redispatched"] == 1
        assert dispatcher.slot(unwilling)["untaken"] == 0


@pytest.mark.parametrize("how", REFUSALS)
def test_connection_that_the_only_worker_does_not_take_comes_back_in_a_while(how: Refusal) -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        (client,) = dispatcher.connect()
        began, wakeups = dispatcher.counters()["heartbeat_ns"], dispatcher.counters()["wakeups"]
        for _ in range(TIMES):
            (connection,) = worker.wait_taken(1)
            how(worker, connection)
        worker.wait_taken(1)
        worker.serve_all()
        assert client.recv(4) == b"x"
        dispatcher.ping()
        assert dispatcher.counters()["heartbeat_ns"] - began >= TIMES * BACKOFF_NS
        # for each: the two answers, the end of the back-off, and what a turn leaves for the next
        assert dispatcher.counters()["wakeups"] - wakeups < TIMES * 8
        assert dispatcher.slot(worker)["refused"] == TIMES


def test_dispatcher_sleeps_while_the_only_worker_is_left_alone() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1, ONE)
        dispatcher.connect(count=3)
        (connection,) = worker.wait_taken(1)
        worker.refuse(connection)
        worker.wait_taken(1)
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.2)
        assert dispatcher.counters()["wakeups"] == wakeups
        serve_until([worker], 3)


def test_missed_connection_goes_before_new_ones() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1, ONE)
        dispatcher.connect(count=3)
        (connection,) = worker.wait_taken(1)
        peer = os.readlink(f"/proc/self/fd/{connection.fd}")
        worker.miss(connection)
        (again,) = worker.wait_taken(1)
        assert os.readlink(f"/proc/self/fd/{again.fd}") == peer
        assert again.seq != connection.seq


def taken_by(dispatcher: DispatcherProcess, worker: NodeChannelWorker, count: int) -> list[AnnouncedConnection]:
    """Have `count` connections sent to the worker alone."""
    dispatcher.connect(count=count)
    return worker.wait_taken(count)


@pytest.mark.parametrize("missed", range(3))
def test_missed_is_the_one_in_turn(missed: int) -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1, THREE)
        other = NodeChannelWorker(1, 2000)
        dispatcher.add_node_worker(other)
        connections = taken_by(dispatcher, worker, 3)
        expected = os.readlink(f"/proc/self/fd/{connections[missed].fd}")
        dispatcher.admit(other)
        worker.say(*[MISSED if number == missed else RECEIVED for number in range(3)])
        (moved,) = other.wait_taken(1)
        assert os.readlink(f"/proc/self/fd/{moved.fd}") == expected


def test_answers_to_shared_sockets_are_not_about_connections() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.connect()
        worker.wait_taken(1)
        dispatcher.send_line(worker, SHARED, dispatcher.listeners[0].fileno())
        dispatcher.ping()
        dispatcher.connect()
        first, second = worker.wait_taken(2)
        worker.wait_line(SHARED)
        worker.say(RECEIVED, MISSED, RECEIVED)
        dispatcher.ping()
        assert dispatcher.slot(worker)["refused"] == 0
        assert dispatcher.slot(worker)["unanswered"] == 0
        assert dispatcher.slot(worker)["untaken"] == 0
        assert first.seq + 1 == second.seq


def test_answer_to_a_probe_is_not_about_a_connection() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        worker, other = dispatcher.start_node_workers(2)
        dispatcher.connect(count=2)
        (connection,) = worker.wait_taken(1)
        dispatcher.probe(worker)
        worker.wait_line(PROBE)
        worker.say(RECEIVED, MISSED)
        dispatcher.ping()
        assert dispatcher.slot(worker)["refused"] == 0
        dispatcher.probe(worker)
        worker.say(MISSED)
        dispatcher.ping()
        assert dispatcher.slot(worker)["refused"] == 0
        worker.refuse(connection)
        other.wait_taken(2)


def test_missed_connection_before_a_probe() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        worker, other = dispatcher.start_node_workers(2)
        dispatcher.connect(count=2)
        (connection,) = worker.wait_taken(1)
        dispatcher.probe(worker)
        worker.miss(connection)
        other.wait_taken(2)
        worker.say(MISSED)
        dispatcher.ping()
        assert dispatcher.slot(worker)["refused"] == 1


def test_nothing_is_handed_over_behind_a_probe() -> None:
    """Node would give the connection's descriptor to the probe, and the connection would be without."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.probe(worker)
        dispatcher.probe(worker)
        dispatcher.connect()
        dispatcher.send_line(worker, SHARED, dispatcher.listeners[0].fileno())
        dispatcher.send_line(worker, b'"plain"')
        dispatcher.ping()
        assert worker.texts() == [PROBE]
        assert not worker.taken
        worker.say(MISSED)
        worker.wait_line(SHARED)
        worker.wait_taken(1)
        worker.wait_line(b'"plain"')


def test_waiting_for_the_answer_to_a_probe_is_sleeping() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.probe(worker)
        dispatcher.connect(count=3)
        dispatcher.send_line(worker, SHARED, dispatcher.listeners[0].fileno())
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.2)
        assert dispatcher.counters()["wakeups"] == wakeups
        worker.say(MISSED)
        worker.wait_line(SHARED)


LIES: dict[str, Lie] = {
    "ACK that nobody asked for": lambda mine, other: [RECEIVED] * 5,
    "NACK that nobody asked for": lambda mine, other: [RECEIVED, RECEIVED] + [MISSED] * 5,
    "unknown numbers": lambda mine, other: [b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":true}' % n for n in range(9)],
    "another worker's number": lambda mine, other: [
        b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":false,"seq":1}' % (other.seq + 1000)
    ],
    "accepted twice": lambda mine, other: [b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":true}' % mine.seq] * 2,
    "refused twice": lambda mine, other: [b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":false}' % mine.seq] * 2,
    "accepted, then refused": lambda mine, other: [
        b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":true}' % mine.seq,
        b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":false}' % mine.seq,
        MISSED,
    ],
    "refused, then accepted": lambda mine, other: [
        MISSED,
        b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":true}' % mine.seq,
    ],
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_harm_only_the_liar(lie: str) -> None:
    """Of its own connections it may say what it likes; the other's clients are answered, and it is soon forgotten."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        liar, honest = dispatcher.start_node_workers(2)
        dispatcher.connect(count=4)
        mine, others = liar.wait_taken(2)[0], honest.wait_taken(2)
        peers = {peer_port(connection) for connection in others}
        liar.say(*LIES[lie](mine, others[0]))
        dispatcher.ping()
        honest.serve_all()
        clients = [client for client in dispatcher.clients if client.getsockname()[1] in peers]
        assert [client.recv(4) for client in clients] == [b"x", b"x"]
        liar.die()
        dispatcher.wait_event(EventName.WORKER_DIED)
        dispatcher.remove(liar)
        honest.serve_all()
        dispatcher.wait_dispatched(dispatcher.counters()["accepted"] + dispatcher.counters()["redispatched"])
        honest.serve_all()
        (client,) = dispatcher.connect()
        serve_until([honest], 1)
        assert client.recv(4) == b"x"


def peer_port(connection: AnnouncedConnection) -> int:
    """The port of the client."""
    with socket.socket(fileno=os.dup(connection.fd)) as theirs:
        return int(theirs.getpeername()[1])


def test_number_means_the_connection_of_who_says_it() -> None:
    """Two workers are counted alike."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        one, other = dispatcher.start_node_workers(2)
        dispatcher.connect(count=2)
        (first,), (second,) = one.wait_taken(1), other.wait_taken(1)
        assert first.seq == second.seq
        one.accept(first)
        dispatcher.ping()
        other.refuse(second)
        one.wait_taken(2)
