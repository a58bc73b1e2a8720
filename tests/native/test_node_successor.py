"""A dispatcher that takes over Node workers from one that has died: it must not mistake old answers for new ones."""

import random
import select
import socket

import pytest
from fastlb.lb.command import ChannelHistory, EventName

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import (
    DISCONNECT,
    HANDLE,
    MISSED,
    PROBE,
    RECEIVED,
    NodeChannelWorker,
    serve_until,
)
from tests.support.waiting import scaled, wait_until

QUIET_NS = 1_000_000_000
MID_LINE = 1
DISCONNECTED = 2
SHARED = HANDLE + b'"dgram.Native","msg":{"cmd":"NODE_CLUSTER","key":"1"}}'
KILLS = 40


def inherited(dispatcher: DispatcherProcess, history: ChannelHistory, slot: int = 0) -> NodeChannelWorker:
    """A worker to which predecessors have spoken, admitted."""
    worker = NodeChannelWorker(slot, 1000 + slot, history=history)
    dispatcher.add_node_worker(worker)
    dispatcher.admit(worker)
    return worker


def history_of(dispatcher: DispatcherProcess, worker: NodeChannelWorker) -> ChannelHistory:
    """What this dispatcher leaves behind."""
    row = dispatcher.slot(worker)
    return ChannelHistory(row["unanswered"], row["history"])


def kill(dispatcher: DispatcherProcess) -> None:
    """SIGKILL it; workers and listeners are somebody else's from now on."""
    dispatcher.process.kill()
    dispatcher.process.wait()
    dispatcher.workers.clear()
    dispatcher.listeners.clear()


def test_nothing_is_sent_before_the_old_answers_are_in() -> None:
    with DispatcherProcess(epoch=2) as dispatcher:
        dispatcher.listen()
        worker = inherited(dispatcher, ChannelHistory(unanswered=3))
        (client,) = dispatcher.connect()
        for old in range(3):
            dispatcher.ping()
            worker.read_all()
            assert not worker.taken
            assert dispatcher.counters()["accepted"] == 0
            worker.say(RECEIVED, b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":true,"seq":9}' % ((1 << 32) + old))
        serve_until([worker], 1)
        assert client.recv(4) == b"x"
        assert worker.announced == {(2 << 32) + 1}
        assert PROBE not in worker.texts()


def test_old_numbers_mean_nothing() -> None:
    with DispatcherProcess(epoch=2) as dispatcher:
        dispatcher.listen()
        worker = inherited(dispatcher, ChannelHistory())
        dispatcher.connect()
        (connection,) = worker.wait_taken(1)
        for number in (1, 2, connection.seq - 1, connection.seq + 1, (1 << 32) + 1, (3 << 32) + 1):
            worker.say(b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":false,"seq":9}' % number)
        dispatcher.ping()
        assert dispatcher.counters()["redispatched"] == 0
        assert dispatcher.expected_copies() == 1


def test_connections_of_others_go_on_meanwhile() -> None:
    with DispatcherProcess(epoch=2) as dispatcher:
        dispatcher.listen()
        waiting = inherited(dispatcher, ChannelHistory(unanswered=1))
        other = inherited(dispatcher, ChannelHistory(), slot=1)
        dispatcher.connect(count=5)
        serve_until([other], 5)
        waiting.read_all()
        assert not waiting.announced


@pytest.mark.parametrize("chatter", [False, True])
def test_after_a_quiet_second_it_asks(chatter: bool) -> None:
    """What its predecessor meant to send may never have been sent. That the app talks is no answer."""
    with DispatcherProcess(epoch=2) as dispatcher:
        dispatcher.listen()
        began = dispatcher.counters()["heartbeat_ns"]
        worker = inherited(dispatcher, ChannelHistory(unanswered=2))
        (client,) = dispatcher.connect()

        def asked() -> bool:
            if chatter:
                worker.say(b'"chatter"')
                dispatcher.next_message()
            return PROBE in worker.texts()

        wait_until(asked, "a probe")
        dispatcher.ping()
        assert dispatcher.counters()["heartbeat_ns"] >= began + QUIET_NS
        assert not worker.taken
        worker.say(MISSED)
        serve_until([worker], 1)
        assert client.recv(4) == b"x"
        dispatcher.ping()
        assert worker.texts() == [PROBE]


def test_old_answers_may_come_after_the_question() -> None:
    """A worker that was blocked answers everything at once, the question last."""
    with DispatcherProcess(epoch=2) as dispatcher:
        dispatcher.listen()
        worker = inherited(dispatcher, ChannelHistory(unanswered=2))
        other = inherited(dispatcher, ChannelHistory(), slot=1)
        worker.wait_line(PROBE)
        worker.say(RECEIVED, RECEIVED, MISSED)
        dispatcher.ping()
        clients = dispatcher.connect(count=4)
        wait_until(lambda: dispatcher.counters()["dispatched"] == 4, "all handed over")
        serve_until([worker, other], 4)
        assert all(client.recv(4) == b"x" for client in clients)
        assert len(worker.announced) == 2


@pytest.mark.parametrize("old", [[MISSED, RECEIVED, RECEIVED], [MISSED, MISSED, MISSED], [RECEIVED, MISSED, RECEIVED]])
def test_old_answer_is_not_taken_for_that_to_the_question(old: list[bytes]) -> None:
    """A predecessor's question, or a connection for which the worker had no descriptor left, is answered alike."""
    with DispatcherProcess(epoch=2) as dispatcher:
        dispatcher.listen()
        worker = inherited(dispatcher, ChannelHistory(unanswered=len(old)))
        worker.wait_line(PROBE)
        clients = dispatcher.connect(count=2)
        for answer in [*old, MISSED]:
            worker.say(answer)
            dispatcher.ping()
        first, second = worker.wait_taken(2)
        assert dispatcher.counters()["redispatched"] == 0
        worker.accept(first, second)
        worker.finish(first, b"x")
        worker.finish(second, b"x")
        assert all(client.recv(4) == b"x" for client in clients)


def test_shared_socket_waits_for_what_is_owed_to_the_predecessor() -> None:
    with DispatcherProcess(epoch=2) as dispatcher:
        dispatcher.listen()
        worker = inherited(dispatcher, ChannelHistory(unanswered=1))
        dispatcher.send_line(worker, SHARED, dispatcher.listeners[0].fileno())
        worker.wait_line(PROBE)
        assert SHARED not in worker.texts()  # it might stand behind a probe of the predecessor
        worker.say(MISSED)
        worker.wait_line(SHARED)
        worker.say(RECEIVED)
        dispatcher.connect()
        (connection,) = worker.wait_taken(1)
        worker.miss(connection)
        wait_until(lambda: dispatcher.slot(worker)["refused"] == 1, "the connection is moved")
        serve_until([worker], 1)


def test_blocked_worker_is_asked_once_and_costs_nothing() -> None:
    with DispatcherProcess(epoch=2) as dispatcher:
        dispatcher.listen()
        worker = inherited(dispatcher, ChannelHistory(unanswered=2))
        dispatcher.send_line(worker, SHARED, dispatcher.listeners[0].fileno())
        dispatcher.connect()
        worker.wait_line(PROBE)
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(1.5)
        assert dispatcher.counters()["wakeups"] - wakeups <= 2
        assert worker.texts() == []
        for answer in (RECEIVED, RECEIVED, MISSED):
            worker.say(answer)
        worker.wait_line(SHARED)


def test_rest_of_a_line_whose_begin_the_predecessor_read_is_dropped() -> None:
    with DispatcherProcess(epoch=2) as dispatcher:
        worker = inherited(dispatcher, ChannelHistory(history=MID_LINE))
        worker.say_raw(b'cepted":true,"se')
        dispatcher.ping()
        assert dispatcher.slot(worker)["history"] == MID_LINE
        worker.say_raw(b'q":7}\n"next"\n')
        assert dispatcher.next_message() == b'"next"'
        dispatcher.ping()
        assert dispatcher.slot(worker)["history"] == 0


def test_rest_that_is_a_line_of_its_own_is_dropped_too() -> None:
    with DispatcherProcess(epoch=2) as dispatcher:
        dispatcher.listen()
        worker = inherited(dispatcher, ChannelHistory(history=MID_LINE))
        dispatcher.connect()
        (connection,) = worker.wait_taken(1)
        worker.say(MISSED, RECEIVED)
        dispatcher.ping()
        assert dispatcher.slot(worker)["refused"] == 0
        worker.accept(connection)


def test_worker_that_was_told_to_disconnect_is_not_told_again() -> None:
    with DispatcherProcess(epoch=2) as dispatcher:
        worker = NodeChannelWorker(0, 1000, history=ChannelHistory(history=DISCONNECTED))
        dispatcher.add_node_worker(worker)
        dispatcher.drain(worker)
        dispatcher.wait_event(EventName.DRAINED)
        assert worker.texts() == []
        assert dispatcher.slot(worker)["history"] == DISCONNECTED


def test_history_is_handed_on() -> None:
    """What a dispatcher inherits and what it adds is what it leaves behind."""
    with DispatcherProcess(epoch=2) as dispatcher:
        dispatcher.listen()
        worker = inherited(dispatcher, ChannelHistory(unanswered=2, history=0))
        assert history_of(dispatcher, worker) == (2, 0)
        worker.say(RECEIVED, RECEIVED)
        dispatcher.connect(count=2)
        worker.wait_taken(2)
        assert history_of(dispatcher, worker) == (2, 0)
        worker.say_raw(RECEIVED + b"\n" + b'"half')
        wait_until(lambda: history_of(dispatcher, worker) == (1, MID_LINE), "one answer and a half line")
        dispatcher.drain(worker)
        worker.wait_line(DISCONNECT)
        assert history_of(dispatcher, worker) == (1, MID_LINE | DISCONNECTED)
        worker.say_raw(b'"\n')
        dispatcher.next_message()
        dispatcher.ping()
        assert history_of(dispatcher, worker) == (1, DISCONNECTED)


def successor_of(
    dispatcher: DispatcherProcess, workers: list[NodeChannelWorker], listener: socket.socket
) -> DispatcherProcess:
    """Kill a dispatcher and start the next one with everything that it had."""
    kill(dispatcher)
    for worker in workers:
        worker.history = history_of(dispatcher, worker)
    dispatcher.close()
    successor = DispatcherProcess(epoch=dispatcher.configuration[0] + 1)
    successor.give_listener(0, listener)
    for worker in workers:
        successor.add_node_worker(worker)
    successor.admit(*workers)
    return successor


def between_two(dispatcher: DispatcherProcess) -> int:
    """Connections that the dispatcher has accepted and not handed over."""
    totals = dispatcher.counters()
    return totals["accepted"] + totals["redispatched"] - totals["dispatched"]


def connect_to(listener: socket.socket, count: int) -> list[socket.socket]:
    return [socket.create_connection(listener.getsockname(), timeout=scaled(10)) for _ in range(count)]


def answers(client: socket.socket) -> bytes | None:
    """All that the client is ever told; None: nothing yet."""
    if not select.select([client], [], [], 0)[0]:
        return None
    try:
        return client.recv(16)
    except ConnectionError:
        return b""


def test_deaths_under_load_answer_nobody_twice() -> None:
    """Lost is at most what a dispatcher had accepted and not handed over when it was killed."""
    generator = random.Random(4711)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    clients: list[socket.socket] = []
    workers = [NodeChannelWorker(slot, 1000 + slot) for slot in range(3)]
    dispatcher = DispatcherProcess()
    dispatcher.give_listener(0, listener)
    for worker in workers:
        dispatcher.add_node_worker(worker)
    dispatcher.admit(*workers)
    may_be_lost = 0
    for _ in range(KILLS):
        clients += connect_to(listener, generator.randrange(1, 20))
        for _ in range(generator.randrange(8)):
            generator.choice(workers).serve_all(b"%d" % generator.randrange(10))
        dispatcher.process.kill()
        dispatcher.process.wait()
        may_be_lost += between_two(dispatcher) + 1  # one more between accept4 and its counter
        dispatcher = successor_of(dispatcher, workers, listener)

    def all_told() -> bool:
        for worker in workers:
            worker.serve_all()
            if PROBE in worker.texts():
                worker.wait_line(PROBE)
                worker.say(MISSED)
        return all(select.select([client], [], [], 0)[0] for client in clients)

    wait_until(all_told, "every client is answered or lost", timeout=30)
    told = [answers(client) or b"" for client in clients]
    assert all(len(answer) <= 1 for answer in told)
    assert sum(not answer for answer in told) <= may_be_lost
    with dispatcher:
        pass
    for client in clients:
        client.close()
