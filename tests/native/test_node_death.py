"""The end of a Node worker: what it has not accepted is everybody's again, what it has is nobody else's."""

import errno
import os
import random
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastlb.lb.command import CommandName, EventName, WorkerBounds
from fastlb.lb.page import SlotState

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import RECEIVED, NodeChannelWorker, serve_until
from tests.support.waiting import wait_until

FIVE = WorkerBounds(credit=5, capacity=0, max_connections=0)


@contextmanager
def stopped(dispatcher: DispatcherProcess) -> Iterator[None]:
    """Let things happen while the dispatcher does not run."""
    dispatcher.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, dispatcher.process.pid, os.WSTOPPED | os.WNOWAIT)
    yield
    dispatcher.process.send_signal(signal.SIGCONT)


def victim_with(dispatcher: DispatcherProcess, count: int) -> tuple[NodeChannelWorker, list[socket.socket]]:
    """A worker that alone was sent `count` connections, which are not read yet."""
    dispatcher.listen()
    (victim,) = dispatcher.start_node_workers(1, FIVE)
    clients = dispatcher.connect(count=count)
    dispatcher.wait_dispatched(count)
    return victim, clients


def add_survivor(dispatcher: DispatcherProcess) -> NodeChannelWorker:
    survivor = NodeChannelWorker(1, 2001, FIVE)
    dispatcher.add_node_worker(survivor)
    dispatcher.admit(survivor)
    return survivor


def check_all_answered(clients: list[socket.socket]) -> None:
    assert [client.recv(4) for client in clients] == [b"x"] * len(clients)


@pytest.mark.parametrize("read", [False, True])
def test_connections_of_a_dead_worker_go_to_others(read: bool) -> None:
    with DispatcherProcess() as dispatcher:
        victim, clients = victim_with(dispatcher, 5)
        if read:
            victim.wait_taken(5)
        survivor = add_survivor(dispatcher)
        victim.die()
        event = dispatcher.wait_event(EventName.WORKER_DIED)
        assert (event.slot, event.incarnation, event.taken_back) == (0, victim.incarnation, 5)
        serve_until([survivor], 5)
        check_all_answered(clients)
        dispatcher.remove(victim)


def test_connections_of_the_only_worker_wait_for_the_next() -> None:
    with DispatcherProcess() as dispatcher:
        victim, clients = victim_with(dispatcher, 3)
        victim.die()
        dispatcher.wait_event(EventName.WORKER_DIED)
        dispatcher.remove(victim)
        assert dispatcher.counters()["held"] == 3
        successor = NodeChannelWorker(0, 3000)
        dispatcher.add_node_worker(successor)
        dispatcher.admit(successor)
        serve_until([successor], 3)
        check_all_answered(clients)


def test_what_it_accepted_before_it_died_is_given_to_nobody_else() -> None:
    with DispatcherProcess() as dispatcher:
        victim, clients = victim_with(dispatcher, 5)
        survivor = add_survivor(dispatcher)
        first, second, third, *_ = victim.wait_taken(5)
        with stopped(dispatcher):
            victim.say(RECEIVED, RECEIVED, RECEIVED, RECEIVED)
            victim.say(victim.verdict(first.seq, accepted=True), victim.verdict(third.seq, accepted=True))
            for connection in (first, third):
                victim.finish(connection, b"x")
            assert second in victim.taken
            victim.die()
        assert dispatcher.wait_event(EventName.WORKER_DIED).taken_back == 3
        serve_until([survivor], 3)
        check_all_answered(clients)
        dispatcher.ping()
        survivor.read_all()
        assert not survivor.taken


def test_last_word_counts_behind_much_else() -> None:
    with DispatcherProcess() as dispatcher:
        victim, clients = victim_with(dispatcher, 1)
        survivor = add_survivor(dispatcher)
        (connection,) = victim.wait_taken(1)
        with stopped(dispatcher):
            victim.say(*[b'"chatter"'] * 15_000)
            victim.accept(connection)
            victim.finish(connection, b"x")
            victim.die()
        assert dispatcher.wait_event(EventName.WORKER_DIED).taken_back == 0
        check_all_answered(clients)
        survivor.read_all()
        assert not survivor.taken


def test_half_a_last_word_does_not_count() -> None:
    with DispatcherProcess() as dispatcher:
        victim, clients = victim_with(dispatcher, 1)
        survivor = add_survivor(dispatcher)
        (connection,) = victim.wait_taken(1)
        victim.say_raw(RECEIVED + b"\n" + victim.verdict(connection.seq, accepted=True))  # no newline
        victim.accepted.clear()
        victim.die()
        assert dispatcher.wait_event(EventName.WORKER_DIED).taken_back == 1
        serve_until([survivor], 1)
        check_all_answered(clients)


def test_child_that_keeps_the_channel_open_delays_nothing() -> None:
    with DispatcherProcess() as dispatcher:
        victim, clients = victim_with(dispatcher, 4)
        survivor = add_survivor(dispatcher)
        (connection, *_) = victim.wait_taken(4)
        victim.accept(connection)
        victim.finish(connection, b"x")
        victim.kill()
        assert dispatcher.wait_event(EventName.WORKER_DIED).taken_back == 3
        serve_until([survivor], 3)
        check_all_answered(clients)
        victim.say(b'"I am the child"')
        dispatcher.ping()
        dispatcher.remove(victim)
        assert all(event.name is not EventName.WORKER_MESSAGE for event in dispatcher.events)


@pytest.mark.parametrize("read", [False, True])
def test_worker_that_closes_its_channel_is_out(read: bool) -> None:
    """What it has read and not accepted it never will; unread messages make it ECONNRESET, which is the same."""
    with DispatcherProcess() as dispatcher:
        victim, clients = victim_with(dispatcher, 5)
        survivor = add_survivor(dispatcher)
        if read:
            victim.wait_taken(5)
        victim.close_channel()
        event = dispatcher.wait_event(EventName.CHANNEL_CLOSED)
        assert (event.slot, event.incarnation, event.error) == (0, victim.incarnation, 0)
        serve_until([survivor], 5)
        check_all_answered(clients)
        dispatcher.ping()
        assert dispatcher.slot(victim)["state"] == SlotState.DEAD
        dispatcher.connect(count=4)
        survivor.wait_taken(4)
        victim.kill()
        assert dispatcher.wait_event(EventName.WORKER_DIED).slot == 0


def test_worker_that_nothing_can_be_written_to_gets_nothing_and_is_still_heard() -> None:
    with DispatcherProcess() as dispatcher:
        victim, clients = victim_with(dispatcher, 1)
        survivor = add_survivor(dispatcher)
        (connection,) = victim.wait_taken(1)
        victim.channel.shutdown(socket.SHUT_RD)
        clients += dispatcher.connect(count=4)
        serve_until([survivor], 4)
        victim.accept(connection)
        victim.finish(connection, b"x")
        check_all_answered(clients)
        victim.die()
        assert dispatcher.wait_event(EventName.WORKER_DIED).taken_back == 0


def test_commands_for_a_dead_worker_are_rejected() -> None:
    with DispatcherProcess() as dispatcher:
        victim, _ = victim_with(dispatcher, 0)
        victim.die()
        dispatcher.wait_event(EventName.WORKER_DIED)
        dispatcher.send_line(victim, b'"hello"', dispatcher.listeners[0].fileno())
        event = dispatcher.wait_event(EventName.REJECTED)
        assert (event.command, event.error) == (CommandName.SEND, errno.EPIPE)
        dispatcher.drain(victim)
        dispatcher.serve(victim, 1)
        dispatcher.remove(victim)


def test_slot_of_a_dead_worker_is_new_for_the_next() -> None:
    with DispatcherProcess() as dispatcher:
        victim, _ = victim_with(dispatcher, 2)
        victim.say_raw(b'"half a line')
        wait_until(lambda: dispatcher.slot(victim)["history"], "half a line is kept")
        dispatcher.ping()
        victim.die()
        dispatcher.wait_event(EventName.WORKER_DIED)
        dispatcher.remove(victim)
        successor = NodeChannelWorker(0, 3000)
        dispatcher.add_node_worker(successor)
        dispatcher.admit(successor)
        serve_until([successor], 2)
        successor.say(b'"whole"')
        assert dispatcher.next_message() == b'"whole"'
        dispatcher.ping()  # answers that were read with the message are counted behind it
        row = dispatcher.slot(successor)
        assert (row["history"], row["unanswered"], row["incarnation"]) == (0, 0, 3000)


def test_removal_of_a_live_worker_gives_back_everything() -> None:
    with DispatcherProcess() as dispatcher:
        victim, clients = victim_with(dispatcher, 5)
        survivor = add_survivor(dispatcher)
        victim.wait_taken(5)
        dispatcher.send_line(victim, b'"last"')
        dispatcher.remove(victim)
        serve_until([survivor], 5)
        check_all_answered(clients)


def test_deaths_under_load_lose_nobody() -> None:
    generator = random.Random(4711)
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_node_workers(3, FIVE)
        clients: list[socket.socket] = []
        answered = 0
        for round_number in range(60):
            clients += dispatcher.connect(count=generator.randrange(1, 12))
            for worker in workers:
                if generator.randrange(3):
                    answered += worker.serve_all()
            victim = generator.randrange(3)
            workers[victim].read_all()
            workers[victim].die()
            dispatcher.wait_event(EventName.WORKER_DIED)
            dispatcher.remove(workers[victim])
            workers[victim] = NodeChannelWorker(victim, 5000 + round_number, FIVE)
            dispatcher.add_node_worker(workers[victim])
            dispatcher.admit(workers[victim])
        serve_until(workers, len(clients) - answered)
        check_all_answered(clients)
