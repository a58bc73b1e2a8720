"""A Node worker that has to leave: told once, heard to the end; and what becomes of it without a supervisor."""

import errno
import signal
import socket

import pytest
from fastlb.lb.command import DrainWord, EventName, WorkerBounds, encode_quit, encode_remove
from fastlb.lb.page import SlotState

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import DISCONNECT, RECEIVED, NodeChannelWorker, fill_channel, serve_until
from tests.support.waiting import scaled, wait_until

MANY = WorkerBounds(credit=64, capacity=0, max_connections=0)


def test_worker_is_told_once_to_disconnect() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.drain(worker)
        event = dispatcher.wait_event(EventName.DRAINED)
        assert (event.slot, event.incarnation, event.taken_back) == (0, worker.incarnation, 0)
        dispatcher.drain(worker)
        dispatcher.drain(worker, DrainWord.NEVER)
        dispatcher.connect()
        dispatcher.ping()
        assert worker.texts() == [DISCONNECT]
        assert dispatcher.counters()["accepted"] == 0


def test_worker_that_leaves_by_itself_is_told_nothing() -> None:
    with DispatcherProcess() as dispatcher:
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.drain(worker, DrainWord.NEVER)
        dispatcher.wait_event(EventName.DRAINED)
        dispatcher.drain(worker)
        dispatcher.ping()
        assert worker.texts() == []


def test_worker_that_drains_quietly_is_told_to_disconnect_later_and_once() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        for _ in range(2):
            dispatcher.drain(worker, DrainWord.LATER)
        dispatcher.wait_event(EventName.DRAINED)
        dispatcher.connect()
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 0, "it is out of the policy"
        assert worker.texts() == []
        for _ in range(2):
            dispatcher.drain(worker)
        dispatcher.ping()
        assert worker.texts() == [DISCONNECT]


def test_worker_that_drains_quietly_and_leaves_by_itself_is_not_told() -> None:
    with DispatcherProcess() as dispatcher:
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.drain(worker, DrainWord.LATER)
        dispatcher.drain(worker, DrainWord.NEVER)
        dispatcher.drain(worker)
        dispatcher.ping()
        assert worker.texts() == []


def test_drain_with_an_unknown_word_changes_nothing() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.drain(worker, 3)
        assert dispatcher.wait_event(EventName.REJECTED).error == errno.EINVAL
        dispatcher.connect()
        worker.wait_taken(1)


def test_successor_tells_a_worker_that_drained_quietly() -> None:
    with DispatcherProcess() as dispatcher:
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.drain(worker, DrainWord.LATER)
        dispatcher.wait_event(EventName.DRAINED)
        history = dispatcher.slot(worker)["history"]
        assert history == 0, "nothing was told that a successor could not repeat"


def test_without_a_supervisor_a_worker_that_drains_quietly_is_told() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.drain(worker, DrainWord.LATER)
        dispatcher.wait_event(EventName.DRAINED)
        dispatcher.control.close()
        worker.wait_line(DISCONNECT)
        worker.close_channel()
        assert worker.process.wait(timeout=scaled(10)) == -signal.SIGTERM
        assert exit_code(dispatcher) == 0


def test_worker_is_drained_when_the_fate_of_all_is_known() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        leaving, staying = dispatcher.start_node_workers(2)
        clients = dispatcher.connect(count=4)
        first, second = leaving.wait_taken(2)
        staying.wait_taken(2)
        dispatcher.drain(leaving)
        leaving.wait_line(DISCONNECT)
        leaving.accept(first)
        leaving.say(RECEIVED)
        dispatcher.ping()
        assert all(event.name is not EventName.DRAINED for event in dispatcher.events)
        leaving.finish(first, b"x")
        leaving.say(leaving.verdict(second.seq, accepted=False))
        assert dispatcher.wait_event(EventName.DRAINED).taken_back == 1
        serve_until([staying], 3)
        assert all(client.recv(4) == b"x" for client in clients)
        leaving.close_channel()
        assert dispatcher.wait_event(EventName.CHANNEL_CLOSED).error == 0
        leaving.kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        dispatcher.remove(leaving)


def test_worker_that_dies_while_it_drains_is_not_drained_but_dead() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        leaving, staying = dispatcher.start_node_workers(2)
        dispatcher.connect(count=2)
        leaving.wait_taken(1)
        dispatcher.drain(leaving)
        leaving.wait_line(DISCONNECT)
        leaving.die()
        assert dispatcher.wait_event(EventName.WORKER_DIED).taken_back == 1
        serve_until([staying], 2)
        assert all(event.name is not EventName.DRAINED for event in dispatcher.events)


def test_word_to_disconnect_waits_for_room() -> None:
    with DispatcherProcess() as dispatcher:
        (worker,) = dispatcher.start_node_workers(1)
        fill_channel(worker)
        dispatcher.drain(worker)
        dispatcher.ping()
        worker.wait_line(DISCONNECT)


def test_answers_of_a_draining_worker_are_heard() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        (client,) = dispatcher.connect()
        (connection,) = worker.wait_taken(1)
        dispatcher.drain(worker)
        dispatcher.ping()
        worker.say(b'{"cmd":"NODE_CLUSTER","act":"close","key":"0","seq":3}')
        worker.accept(connection)
        dispatcher.wait_event(EventName.DRAINED)
        worker.finish(connection, b"last")
        assert client.recv(8) == b"last"
        assert any(b'"act":"close"' in event.text for event in dispatcher.events)


def exit_code(dispatcher: DispatcherProcess) -> int:
    return dispatcher.process.wait(timeout=scaled(10))


def test_without_a_supervisor_workers_are_told_to_finish_and_heard_to_the_end() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        busy, idle = dispatcher.start_node_workers(2)
        clients = dispatcher.connect(count=2)
        (connection,) = busy.wait_taken(1)
        idle.wait_taken(1)
        idle.serve_all()
        dispatcher.control.close()
        for worker in (busy, idle):
            worker.wait_line(DISCONNECT)
            worker.say(b'{"cmd":"NODE_CLUSTER","act":"close","key":"0","seq":3}')
            worker.say(*[b'"chatter that nobody hears"'] * 2000)
        idle.close_channel()
        assert idle.process.wait(timeout=scaled(10)) == -signal.SIGTERM
        assert dispatcher.process.poll() is None
        busy.accept(connection)
        busy.finish(connection, b"x")
        assert all(client.recv(4) == b"x" for client in clients)
        busy.close_channel()
        assert busy.process.wait(timeout=scaled(10)) == -signal.SIGTERM
        assert exit_code(dispatcher) == 0


def test_without_a_supervisor_a_worker_that_has_gone_already_is_asked_to_go() -> None:
    """It closed its channel before: no word of it will come any more."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        gone, faulty = dispatcher.start_node_workers(2)
        gone.close_channel()
        dispatcher.wait_event(EventName.CHANNEL_CLOSED)
        faulty.channel.setblocking(False)
        faulty.channel.settimeout(0.2)
        with pytest.raises(TimeoutError):
            faulty.say_raw(b"x" * (2 << 20))
        dispatcher.wait_event(EventName.CHANNEL_CLOSED, slot=1)
        dispatcher.control.close()
        for worker in (gone, faulty):
            assert worker.process.wait(timeout=scaled(10)) == -signal.SIGTERM
        assert exit_code(dispatcher) == 0


def test_without_a_supervisor_and_without_node_workers_it_ends() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        dispatcher.start_workers(1)
        worker = NodeChannelWorker(1, 2000)
        dispatcher.add_node_worker(worker)
        worker.die()
        dispatcher.wait_event(EventName.WORKER_DIED)
        dispatcher.control.close()
        assert exit_code(dispatcher) == 0


def test_without_a_supervisor_a_worker_that_was_told_is_not_told_again() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.drain(worker)
        dispatcher.wait_event(EventName.DRAINED)
        dispatcher.control.close()
        worker.wait_line(DISCONNECT)
        worker.say(b'"still here"')
        assert worker.texts() == []
        worker.close_channel()
        worker.process.wait(timeout=scaled(10))
        assert exit_code(dispatcher) == 0
        assert dispatcher.slot(worker)["state"] == SlotState.FREE


def test_quit_leaves_the_workers_alone() -> None:
    """The next dispatcher goes on with them."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1, MANY)
        clients = dispatcher.connect(count=40)
        worker.wait_taken(40)
        dispatcher.send(encode_quit())
        assert exit_code(dispatcher) == 0
        assert worker.process.poll() is None
        assert worker.texts() == []
        worker.serve_all()
        assert all(client.recv(4) == b"x" for client in clients)


def test_nothing_is_sent_to_a_worker_that_is_not_admitted() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        worker = NodeChannelWorker(0, 1000)
        dispatcher.add_node_worker(worker)
        dispatcher.connect()
        dispatcher.ping()
        assert worker.texts() == []
        assert dispatcher.counters()["accepted"] == 0
        dispatcher.admit(worker)
        serve_until([worker], 1)


def test_end_of_the_channel_is_the_workers_not_ours() -> None:
    """REMOVE lets go of the channel; while the supervisor keeps it the worker notices nothing."""
    with DispatcherProcess() as dispatcher:
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.send(encode_remove(worker.slot, worker.incarnation))
        dispatcher.ping()
        assert not worker.at_end()
        worker.dispatcher_end.close()
        wait_until(worker.at_end, "nobody has the other end")
        del dispatcher.workers[0]
        worker.dispatcher_end = socket.socket()
        worker.close()
