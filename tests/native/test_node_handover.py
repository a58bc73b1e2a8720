"""A connection's way to a Node worker: announced once, with its descriptor, and ours until the app has taken it."""

import os
import select
import socket

import pytest
from fastlb.lb.command import CommandName, EventName, Policy, WorkerBounds, encode_add_listener, encode_configure

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import RECEIVED, NodeChannelWorker, serve_until
from tests.support.waiting import wait_until

SOON_NS = 5_000_000
KEY = 4711
MANY_CLIENTS = 150
MOST_REMEMBERED = 128  # MAX_CREDIT in lb/connection.pxd


def listen_with_key(dispatcher: DispatcherProcess, key: int) -> None:
    """A listener that Node workers know by this key."""
    listener = socket.create_server(("127.0.0.1", 0))
    dispatcher.listeners[0] = listener
    dispatcher.send(encode_add_listener(0, key), [listener.fileno()])
    dispatcher.ping()


def copies(dispatcher: DispatcherProcess, without: int) -> int:
    """How many descriptors the dispatcher has above those that it had `without` connections."""
    dispatcher.ping()
    return len(dispatcher.descriptors()) - without


def at_end(client: socket.socket) -> bool:
    """Whether nobody has the other end of the client's connection any more."""
    return bool(select.select([client], [], [], 0)[0]) and client.recv(1, socket.MSG_PEEK) == b""


@pytest.mark.parametrize("epoch", [1, 5, 2**21 - 1])
def test_connections_are_numbered_within_the_epoch(epoch: int) -> None:
    with DispatcherProcess(epoch=epoch) as dispatcher:
        listen_with_key(dispatcher, KEY)
        (worker,) = dispatcher.start_node_workers(1)
        for number in range(1, 6):
            dispatcher.connect()
            (connection,) = worker.wait_taken(1)
            assert (connection.key, connection.seq) == (KEY, (epoch << 32) + number)
            worker.accept(connection)
            worker.finish(connection)


def test_epoch_whose_numbers_javascript_cannot_hold_is_refused() -> None:
    with DispatcherProcess(configured=False) as dispatcher:
        command = encode_configure(2**21, Policy.ROUND_ROBIN, SOON_NS)
        dispatcher.send(command, [dispatcher.page_fd])
        assert dispatcher.wait_event(EventName.REJECTED).command == CommandName.CONFIGURE
        dispatcher.configure()


def test_answer_reaches_the_client() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        (client,) = dispatcher.connect()
        client.sendall(b"question")
        (connection,) = worker.wait_taken(1)
        assert os.read(connection.fd, 64) == b"question"
        worker.accept(connection)
        worker.finish(connection, b"answer")
        assert client.recv(64) == b"answer"


def test_credit_bounds_what_has_not_arrived_yet() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.connect(count=5)
        wait_until(lambda: dispatcher.counters()["starved"], "credit used up")
        worker.wait_taken(2)
        assert dispatcher.counters()["accepted"] == 2  # the others wait in the backlog
        assert dispatcher.slot(worker)["untaken"] == 2
        worker.say(RECEIVED)
        dispatcher.wait_dispatched(3)
        worker.say(RECEIVED)
        dispatcher.wait_dispatched(4)
        worker.wait_taken(4)
        dispatcher.ping()
        assert dispatcher.slot(worker)["untaken"] == 2


def test_worker_that_accepts_nothing_gets_no_more_than_can_be_remembered() -> None:
    """It says that each arrived, and never what became of it."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        silent, other = dispatcher.start_node_workers(2, WorkerBounds(credit=7, capacity=0, max_connections=0))
        dispatcher.connect(count=300)
        served = 0
        while served < 300 - MOST_REMEMBERED:
            before = len(silent.announced)
            silent.read_all()
            silent.say(*[RECEIVED] * (len(silent.announced) - before))
            served += other.serve_all()
        silent.wait_taken(MOST_REMEMBERED)
        assert dispatcher.counters()["dispatched"] == 300


def test_what_one_has_no_credit_for_goes_to_another() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        full, other = dispatcher.start_node_workers(2)
        dispatcher.connect(count=4)
        full.wait_taken(2)
        other.wait_taken(2)
        for _ in range(10):
            other.serve_all()
            dispatcher.connect()
            other.wait_taken(1)
        full.read_all()
        assert len(full.taken) == 2


def test_our_copy_lives_until_the_app_has_accepted() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        without = copies(dispatcher, 0)
        (client,) = dispatcher.connect()
        (connection,) = worker.wait_taken(1)
        assert copies(dispatcher, without) == 1
        worker.say(RECEIVED)
        assert copies(dispatcher, without) == 1
        os.close(connection.fd)
        worker.taken.clear()
        assert copies(dispatcher, without) == 1
        assert not at_end(client)
        worker.say(worker.verdict(connection.seq, accepted=True))
        assert copies(dispatcher, without) == 0
        assert client.recv(1) == b""


def test_end_of_a_connection_is_seen_at_once_after_acceptance() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        (client,) = dispatcher.connect()
        (connection,) = worker.wait_taken(1)
        worker.accept(connection)
        dispatcher.ping()
        assert not at_end(client)
        worker.finish(connection)
        assert at_end(client)


def test_copies_are_closed_by_number_not_by_order() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1, WorkerBounds(credit=3, capacity=0, max_connections=0))
        clients = dispatcher.connect(count=3)
        connections = worker.wait_taken(3)
        by_port = {client.getsockname()[1]: client for client in clients}
        middle = connections[1]
        with socket.socket(fileno=os.dup(middle.fd)) as theirs:
            peer = theirs.getpeername()[1]
        worker.say(RECEIVED, RECEIVED, RECEIVED, worker.verdict(middle.seq, accepted=True))
        for connection in connections:
            worker.finish(connection)
        dispatcher.ping()
        assert [port for port, client in by_port.items() if at_end(client)] == [peer]


def test_answers_that_come_in_one_read_are_all_heard() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1, WorkerBounds(credit=50, capacity=0, max_connections=0))
        without = copies(dispatcher, 0)
        dispatcher.connect(count=50)
        answers = []
        for connection in worker.wait_taken(50):
            answers += [RECEIVED, worker.verdict(connection.seq, accepted=True)]
        worker.say(*answers)
        assert copies(dispatcher, without) == 0
        assert dispatcher.slot(worker)["unanswered"] == 0


def test_answers_that_come_byte_by_byte_are_all_heard() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        without = copies(dispatcher, 0)
        dispatcher.connect()
        (connection,) = worker.wait_taken(1)
        text = RECEIVED + b"\n" + worker.verdict(connection.seq, accepted=True) + b"\n"
        for at in range(len(text)):
            assert copies(dispatcher, without) == 1
            worker.say_raw(text[at : at + 1])
        assert copies(dispatcher, without) == 0
        assert not dispatcher.slot(worker)["history"]


@pytest.mark.parametrize("policy", [Policy.ROUND_ROBIN, Policy.LEAST_CONNECTIONS])
def test_blocked_worker_keeps_no_more_than_its_credit_waiting(policy: Policy) -> None:
    with DispatcherProcess(policy, handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        blocked, other = dispatcher.start_node_workers(2)
        clients = dispatcher.connect(count=MANY_CLIENTS)
        serve_until([other], MANY_CLIENTS - 2)
        wait_until(lambda: len(select.select(clients, [], [], 0)[0]) == MANY_CLIENTS - 2, "answers to all but two")
        blocked.wait_taken(2)
        serve_until([blocked], 2)
        assert all(client.recv(4) == b"x" for client in clients)


def wait_overdue(dispatcher: DispatcherProcess, worker: NodeChannelWorker) -> None:
    """Let the hand-over time-out of what a worker has just been given pass."""
    heartbeat = dispatcher.counters()["heartbeat_ns"]

    def passed() -> bool:
        dispatcher.ping()
        return dispatcher.counters()["heartbeat_ns"] > heartbeat + SOON_NS

    wait_until(passed, f"worker {worker.slot} is overdue")


@pytest.mark.parametrize("policy", [Policy.ROUND_ROBIN, Policy.LEAST_CONNECTIONS])
def test_worker_that_keeps_one_waiting_is_passed_over_while_another_has_room(policy: Policy) -> None:
    with DispatcherProcess(policy, handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        slow, other = dispatcher.start_node_workers(2)
        dispatcher.connect(count=2)
        slow.wait_taken(1)
        other.wait_taken(1)
        wait_overdue(dispatcher, slow)
        for served in range(1, 11):
            other.serve_all()
            dispatcher.ping()
            dispatcher.connect()
            dispatcher.wait_dispatched(2 + served)
            other.wait_taken(1)
        slow.read_all()
        assert len(slow.taken) == 1


def test_slow_worker_is_better_than_none() -> None:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        (slow,) = dispatcher.start_node_workers(1)
        dispatcher.connect()
        slow.wait_taken(1)
        wait_overdue(dispatcher, slow)
        dispatcher.connect()
        slow.wait_taken(2)


def test_round_robin_over_node_workers_is_exact() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_node_workers(4)
        served = [0, 0, 0, 0]
        for number in range(1, 101):
            dispatcher.connect()
            dispatcher.wait_dispatched(number)
            for worker in workers:
                served[worker.slot] += worker.serve_all()
            dispatcher.ping()
        assert served == [25, 25, 25, 25]


def test_ip_hash_waits_for_the_clients_own_worker() -> None:
    with DispatcherProcess(Policy.IP_HASH) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_node_workers(2)
        dispatcher.connect(count=129)
        dispatcher.wait_dispatched(129)
        assert sorted(dispatcher.slot(worker)["untaken"] for worker in workers) == [1, 128]
        for worker in workers:
            worker.read_all()
            worker.serve_all()
        assert dispatcher.counters()["unsticky"] == 1


def test_node_and_python_workers_share_a_listener() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (node,) = dispatcher.start_node_workers(1)
        python = dispatcher.new_worker(1)
        dispatcher.admit(python)
        for number in range(1, 9):
            dispatcher.connect()
            dispatcher.wait_dispatched(number)
            node.serve_all()
            python.take_all()
            dispatcher.ping()
        assert len(python.taken) == 4


def test_every_connection_is_served_one_at_a_time() -> None:
    """A lost wake-up would leave a free worker and a waiting client: this would not end."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_node_workers(2, WorkerBounds(credit=1, capacity=0, max_connections=0))
        clients = dispatcher.connect(count=1000)
        serve_until(workers, len(clients))
        assert all(client.recv(4) == b"x" for client in clients)


def test_idle_dispatcher_does_not_wake_for_its_node_workers() -> None:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        blocked, _ = dispatcher.start_node_workers(2)
        dispatcher.connect()
        blocked.wait_taken(1)
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.3)
        assert dispatcher.counters()["wakeups"] == wakeups
