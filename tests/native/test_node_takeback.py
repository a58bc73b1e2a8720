"""Taking back from a live Node worker what it has not read: only whole lines about connections, and only that."""

import time
from collections.abc import Iterator

import pytest
from fastlb.lb.command import DrainWord, EventName, Policy

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import MISSED, PROBE, RECEIVED, NodeChannelWorker, TakenBackNodeWorker
from tests.support.waiting import wait_until

SOON_NS = 5_000_000
CREDIT = 2
TURN = 0.01  # seconds that an app takes for each connection
TURNS = 20
HELD_UP = 0.9  # seconds in which it is sent one at a time, and a bit less
LINE = b'"a message of the app"'


@pytest.fixture
def dispatcher() -> Iterator[DispatcherProcess]:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        yield dispatcher
        for worker in dispatcher.workers.values():  # else it would go on looking for one that takes what is held
            if isinstance(worker, TakenBackNodeWorker):
                worker.stop_taking_back()
                dispatcher.drain(worker, DrainWord.NEVER)


def add_workers(dispatcher: DispatcherProcess, *slots: int) -> list[TakenBackNodeWorker]:
    """Make, add and admit workers."""
    workers = [TakenBackNodeWorker(slot) for slot in slots]
    for worker in workers:
        dispatcher.add_node_worker(worker)
    dispatcher.admit(*workers)
    return workers


def test_what_a_stuck_worker_has_not_read_goes_to_another(dispatcher: DispatcherProcess) -> None:
    (stuck,) = add_workers(dispatcher, 0)
    clients = dispatcher.connect(count=2)
    dispatcher.wait_dispatched(2)
    (other,) = add_workers(dispatcher, 1)
    other.wait_taken(2)
    other.serve_all(b"served")
    assert [client.recv(8) for client in clients] == [b"served"] * 2
    assert stuck.texts() == [PROBE]
    assert not stuck.announced
    wait_until(lambda: dispatcher.slot(stuck)["untaken"] == 0, "nothing is its own any more")
    assert dispatcher.slot(stuck)["taken_back"] == 2


def test_stuck_worker_gets_nothing_until_it_has_answered_and_one_at_a_time_then(
    dispatcher: DispatcherProcess,
) -> None:
    began = time.monotonic()
    (stuck,) = add_workers(dispatcher, 0)
    dispatcher.connect()
    dispatcher.wait_dispatched(1)
    (other,) = add_workers(dispatcher, 1)
    for served in range(5):
        wait_until(other.serve_all, f"{served} were served by the other")
        dispatcher.connect()
    wait_until(other.serve_all, "the last one, too")
    assert stuck.texts() == [PROBE]
    assert dispatcher.slot(stuck)["sent"] == 1
    stuck.say(MISSED)
    wait_until(lambda: dispatcher.slot(stuck)["unanswered"] == 0, "the answer is heard")
    dispatcher.connect(count=6)
    wait_until(lambda: dispatcher.slot(stuck)["sent"] > 1, "it gets connections again")
    wait_until(lambda: dispatcher.slot(other)["untaken"] == CREDIT, "the other has what its credit allows")
    if time.monotonic() - began < HELD_UP:
        assert dispatcher.slot(stuck)["sent"] == 2


def test_probe_is_not_answered_by_what_an_app_makes_up(dispatcher: DispatcherProcess) -> None:
    (stuck,) = add_workers(dispatcher, 0)
    dispatcher.connect()
    dispatcher.wait_dispatched(1)
    (other,) = add_workers(dispatcher, 1)
    wait_until(other.serve_all, "the other serves it")
    stuck.wait_line(PROBE)
    stuck.say(*[RECEIVED] * 5)
    # Node would take the descriptor of a connection behind the probe for the probe's.
    for _ in range(3):
        dispatcher.connect()
        wait_until(other.serve_all, "the other is the only one that is sent any")
    assert dispatcher.slot(stuck)["sent"] == 1
    assert dispatcher.slot(stuck)["unanswered"] == 1
    stuck.say(MISSED)
    wait_until(lambda: dispatcher.slot(stuck)["unanswered"] == 0, "the answer is heard")


def test_what_it_has_read_stays_its_own_and_its_answers_are_told_apart(dispatcher: DispatcherProcess) -> None:
    (slow,) = add_workers(dispatcher, 0)
    dispatcher.connect()
    (read,) = slow.wait_taken(1)
    dispatcher.connect()
    dispatcher.wait_dispatched(2)
    (other,) = add_workers(dispatcher, 1)
    wait_until(other.serve_all, "what was not read")
    slow.wait_line(PROBE)
    slow.say(RECEIVED, slow.verdict(read.seq, accepted=True), MISSED)
    slow.finish(read)
    wait_until(lambda: dispatcher.slot(slow)["unanswered"] == 0, "all answers are heard")
    assert dispatcher.slot(slow)["taken_back"] == 1
    assert dispatcher.slot(slow)["refused"] == 0


@pytest.mark.parametrize("behind", [False, True])
def test_nothing_is_taken_beside_a_line_of_another_kind(dispatcher: DispatcherProcess, behind: bool) -> None:
    """Behind a connection's line neither: the worker may read that one in the very moment."""
    (stuck,) = add_workers(dispatcher, 0)
    if not behind:
        dispatcher.send_line(stuck, LINE)
    dispatcher.connect()
    dispatcher.wait_dispatched(1)
    if behind:
        dispatcher.send_line(stuck, LINE)
    (empty,) = add_workers(dispatcher, 2)
    dispatcher.connect(count=2)  # one at least for whom there is no other line
    wait_until(lambda: dispatcher.slot(empty)["sent"], "another one that reads nothing")
    add_workers(dispatcher, 1)
    wait_until(lambda: dispatcher.slot(empty)["taken_back"], "what lies in front is taken back")
    assert dispatcher.slot(stuck)["taken_back"] == 0
    assert stuck.wait_line(LINE)
    assert stuck.taken


def test_worker_that_drains_is_seen_to_close_its_channel(dispatcher: DispatcherProcess) -> None:
    (worker,) = add_workers(dispatcher, 0)
    worker.stop_taking_back()
    dispatcher.drain(worker, DrainWord.NEVER)
    dispatcher.wait_event(EventName.DRAINED)
    worker.close_channel()
    assert dispatcher.wait_event(EventName.CHANNEL_CLOSED).error == 0


def test_connections_of_one_that_dies_are_its_clients_no_more(dispatcher: DispatcherProcess) -> None:
    """Its unread lines go with its channel, and the copies in them: else a client would not see its end."""
    (victim,) = add_workers(dispatcher, 0)
    (client,) = dispatcher.connect()
    dispatcher.wait_dispatched(1)
    victim.stop_taking_back()
    victim.die()
    dispatcher.wait_event(EventName.WORKER_DIED)
    (other,) = add_workers(dispatcher, 1)
    wait_until(other.serve_all, "it goes to another")
    assert client.recv(8) == b"x"
    assert client.recv(8) == b""


def be_slow(dispatcher: DispatcherProcess, worker: NodeChannelWorker) -> None:
    """Serve so many clients that the dispatcher knows how long each takes."""
    for _ in range(TURNS):
        dispatcher.connect()
        wait_until(lambda: dispatcher.slot(worker)["untaken"], "it is announced")
        dispatcher.assert_silent(TURN)  # the app's work
        worker.serve_all()
        wait_until(lambda: dispatcher.slot(worker)["untaken"] == 0, "the answer is heard")


def test_worker_whose_every_turn_is_long_gets_one_at_a_time() -> None:
    with DispatcherProcess(handover_timeout_ns=1_000_000_000) as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.connect(count=2)
        wait_until(lambda: dispatcher.slot(worker)["untaken"] == CREDIT, "at first it has what its credit allows")
        worker.serve_all()
        be_slow(dispatcher, worker)
        dispatcher.connect(count=2)
        wait_until(lambda: dispatcher.slot(worker)["untaken"], "one is announced")
        dispatcher.wait_quiet()
        assert dispatcher.slot(worker)["untaken"] == 1
        assert worker.serve_all() == 1
        wait_until(worker.serve_all, "then the other")


def test_clients_wait_for_their_own_worker_though_its_every_turn_is_long() -> None:
    with DispatcherProcess(Policy.IP_HASH, handover_timeout_ns=1_000_000_000) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_node_workers(2)
        dispatcher.connect()
        (own,) = wait_until(lambda: [worker for worker in workers if dispatcher.slot(worker)["untaken"]], "one has it")
        own.serve_all()
        be_slow(dispatcher, own)
        dispatcher.connect(count=CREDIT + 1)
        wait_until(lambda: dispatcher.slot(own)["untaken"] == CREDIT + 1, "they all wait for it")
        assert dispatcher.counters()["unsticky"] == 0
        while dispatcher.slot(own)["untaken"]:
            own.serve_all()


def test_worker_whose_every_turn_is_long_is_not_stuck_when_it_takes_another_one(dispatcher: DispatcherProcess) -> None:
    (busy,) = add_workers(dispatcher, 0)
    be_slow(dispatcher, busy)
    asked_at = time.monotonic()
    dispatcher.connect()
    wait_until(lambda: dispatcher.slot(busy)["untaken"], "it is announced")
    (other,) = add_workers(dispatcher, 1)
    wait_until(other.serve_all, "it is stuck after all")
    assert time.monotonic() - asked_at > 2 * TURN
