"""What a worker that leaves the policy has not taken goes to another, though only one is left, or comes later."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from fastlb.lb.command import DrainWord, Policy

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import PROBE, TakenBackNodeWorker, serve_until
from tests.support.waiting import wait_until

SOON_NS = 5_000_000
CREDIT = 2
LINE = b'"a message of the app"'


@pytest.fixture(params=[Policy.ROUND_ROBIN, Policy.IP_HASH])
def dispatcher(request: pytest.FixtureRequest) -> Iterator[DispatcherProcess]:
    """One that waits for ever for a worker in its policy."""
    with DispatcherProcess(request.param) as dispatcher:
        dispatcher.listen()
        yield dispatcher
        end_all(dispatcher)


@pytest.fixture(params=[Policy.ROUND_ROBIN, Policy.IP_HASH])
def impatient(request: pytest.FixtureRequest) -> Iterator[DispatcherProcess]:
    """One that soon takes back what is not taken."""
    with DispatcherProcess(request.param, handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        yield dispatcher
        end_all(dispatcher)


def end_all(dispatcher: DispatcherProcess) -> None:
    """Drain Node workers: else what is held would wait for them."""
    for worker in dispatcher.workers.values():
        if isinstance(worker, TakenBackNodeWorker):
            worker.stop_taking_back()
            dispatcher.drain(worker, DrainWord.NEVER)


def new_node_worker(dispatcher: DispatcherProcess, slot: int) -> TakenBackNodeWorker:
    worker = TakenBackNodeWorker(slot)
    dispatcher.add_node_worker(worker)
    return worker


def start_stuck(dispatcher: DispatcherProcess) -> TakenBackNodeWorker:
    """Return a worker that reads nothing, with as many connections as it may be sent."""
    stuck = new_node_worker(dispatcher, 0)
    dispatcher.admit(stuck)
    dispatcher.connect(count=CREDIT)
    dispatcher.wait_dispatched(CREDIT)
    return stuck


@pytest.mark.parametrize("drained", [False, True])
def test_unread_lines_of_a_node_worker_go_to_the_only_other(dispatcher: DispatcherProcess, drained: bool) -> None:
    stuck = start_stuck(dispatcher)
    other = new_node_worker(dispatcher, 1)
    dispatcher.admit(other)
    if drained:
        stuck.stop_taking_back()
        dispatcher.drain(stuck, DrainWord.NEVER)
    else:
        dispatcher.withdraw(stuck)
    serve_until([other], CREDIT)
    assert stuck.texts() == [], "nothing is asked of one that gets no more"
    assert not stuck.announced


def drain(dispatcher: DispatcherProcess, worker: TakenBackNodeWorker) -> None:
    worker.stop_taking_back()
    dispatcher.drain(worker, DrainWord.NEVER)
    dispatcher.ping()


def refuse(dispatcher: DispatcherProcess, worker: TakenBackNodeWorker) -> None:
    for connection in worker.wait_taken(CREDIT):
        worker.refuse(connection)


def drain_and_refuse(dispatcher: DispatcherProcess, worker: TakenBackNodeWorker) -> None:
    worker.wait_taken(CREDIT)
    drain(dispatcher, worker)
    refuse(dispatcher, worker)


def die(dispatcher: DispatcherProcess, worker: TakenBackNodeWorker) -> None:
    worker.stop_taking_back()
    worker.die()


@pytest.mark.parametrize(
    ("leave", "hops"),
    [(DispatcherProcess.withdraw, 0), (drain, 0), (drain_and_refuse, 0), (die, 0), (refuse, 1)],
)
def test_what_leaving_node_workers_leave_may_be_taken_back_as_often_as_ever(
    leave: Callable[[DispatcherProcess, TakenBackNodeWorker], None], hops: int
) -> None:
    """What was taken back so often stays with a worker that is stuck: that is for workers that stay in the policy."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        leaving = start_stuck(dispatcher)
        other = dispatcher.new_worker(1)
        dispatcher.admit(other)
        leave(dispatcher, leaving)
        other.take_until(CREDIT)
        assert [connection.hops for connection in other.taken] == [hops] * CREDIT
        end_all(dispatcher)


def test_last_worker_of_an_app_that_ends_gets_what_the_others_have_not_read(dispatcher: DispatcherProcess) -> None:
    """All are told at once: what one leaves is with the next before that one leaves the policy, too."""
    stuck = start_stuck(dispatcher)
    last = new_node_worker(dispatcher, 1)
    dispatcher.admit(last)
    dispatcher.ping()
    os.kill(dispatcher.process.pid, signal.SIGSTOP)
    try:
        for worker in (stuck, last):
            worker.stop_taking_back()
            dispatcher.drain(worker, DrainWord.NEVER)
    finally:
        os.kill(dispatcher.process.pid, signal.SIGCONT)
    serve_until([last], CREDIT)


def test_unread_lines_stay_where_no_other_serves_their_listener(dispatcher: DispatcherProcess) -> None:
    stuck = start_stuck(dispatcher)
    other = new_node_worker(dispatcher, 1)
    dispatcher.serve(other, 0b10)
    dispatcher.admit(other)
    dispatcher.withdraw(stuck)
    assert dispatcher.slot(stuck)["taken_back"] == 0
    serve_until([stuck], CREDIT)


def test_unread_lines_of_a_node_worker_go_to_one_that_comes_later(impatient: DispatcherProcess) -> None:
    stuck = start_stuck(impatient)
    impatient.withdraw(stuck)
    other = new_node_worker(impatient, 1)
    impatient.admit(other)
    serve_until([other], CREDIT)
    assert stuck.wait_line(PROBE)
    assert not stuck.announced


def test_untaken_of_a_worker_go_to_one_that_comes_later(impatient: DispatcherProcess) -> None:
    (stuck,) = impatient.start_workers(1)
    impatient.connect(count=3)
    impatient.wait_dispatched(3)
    impatient.withdraw(stuck)
    other = impatient.new_worker(1)
    impatient.admit(other)
    other.take_until(3)
    assert [connection.hops for connection in other.taken] == [0] * 3
    assert not stuck.take_all()


def test_nothing_is_taken_from_the_only_worker(impatient: DispatcherProcess) -> None:
    stuck = start_stuck(impatient)
    other = new_node_worker(impatient, 1)
    impatient.send_line(other, LINE)
    assert other.wait_line(LINE)
    wakeups = impatient.wait_quiet()
    impatient.assert_silent(0.1)
    assert impatient.counters()["wakeups"] == wakeups, "it sleeps meanwhile"
    assert impatient.slot(stuck)["taken_back"] == 0
    wait_until(stuck.serve_all, "it is served after all")
