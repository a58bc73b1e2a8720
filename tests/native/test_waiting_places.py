"""One connection waits in the channel of a worker that is full, and goes to another one as soon as that has room."""

import pytest
from fastlb.lb.command import EventName, Policy, WorkerBounds

from tests.support.channel_worker import ChannelWorker
from tests.support.dispatcher_process import DispatcherProcess
from tests.support.waiting import wait_until

SOON_NS = 5_000_000
ONE_AT_A_TIME = WorkerBounds(credit=16, capacity=1, max_connections=0)


def fill(dispatcher: DispatcherProcess, workers: list[ChannelWorker]) -> None:
    """Give each worker one connection, which it takes."""
    dispatcher.connect(count=len(workers))
    for worker in workers:
        wait_until(worker.take, "a connection for each")
    dispatcher.ping()


def holder_of_next(dispatcher: DispatcherProcess, workers: list[ChannelWorker]) -> ChannelWorker:
    """Connect; return the worker in whose channel the connection waits."""
    dispatcher.ping()
    before = [dispatcher.slot(worker)["untaken"] for worker in workers]
    sent = dispatcher.counters()["dispatched"]
    dispatcher.connect()
    dispatcher.wait_dispatched(sent + 1)
    dispatcher.ping()
    after = [dispatcher.slot(worker)["untaken"] for worker in workers]
    (index,) = [index for index, count in enumerate(before) if count != after[index]]
    return workers[index]


def wait_redispatched(dispatcher: DispatcherProcess, count: int) -> None:
    """Wait until so many were taken back."""
    wait_until(lambda: dispatcher.counters()["redispatched"] == count, f"{count} taken back")


@pytest.mark.parametrize("policy", [Policy.ROUND_ROBIN, Policy.LEAST_CONNECTIONS])
def test_one_waits_for_each_full_worker_and_the_others_in_the_backlog(policy: Policy) -> None:
    with DispatcherProcess(policy) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(2, ONE_AT_A_TIME)
        fill(dispatcher, workers)
        dispatcher.connect(count=5)
        dispatcher.wait_dispatched(4)
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 4
        assert [dispatcher.slot(worker)["untaken"] for worker in workers] == [1, 1]
        workers[0].finish_all()
        assert workers[0].take()  # without a word from us
        dispatcher.wait_dispatched(5)
        assert [connection.hops for connection in workers[0].taken] == [0]


def test_it_goes_at_once_to_another_worker_that_has_room_the_one_that_waits_longest_first() -> None:
    with DispatcherProcess() as dispatcher:  # its hand-over timeout never comes
        dispatcher.listen()
        workers = dispatcher.start_workers(3, ONE_AT_A_TIME)
        fill(dispatcher, workers)
        first, second = holder_of_next(dispatcher, workers), holder_of_next(dispatcher, workers)
        (idle,) = [worker for worker in workers if worker not in (first, second)]
        for count, holder in ((1, first), (2, second)):
            idle.finish_all()
            wait_until(idle.take, "what waited for another")
            assert idle.taken[0].hops == 0
            assert dispatcher.counters()["redispatched"] == count
            assert dispatcher.slot(holder)["taken_back"] == 1
        holder = holder_of_next(dispatcher, workers)  # no one is passed over for it
        assert dispatcher.slot(holder)["untaken"] == 1


def test_it_moves_as_often_as_another_has_room() -> None:
    """It has not been left by a worker that is stuck, of which there are two at most."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(2, ONE_AT_A_TIME)
        fill(dispatcher, workers)
        holder = holder_of_next(dispatcher, workers)
        for moves in range(1, 5):
            (other,) = [worker for worker in workers if worker is not holder]
            other.status.record_busy(-1)
            wait_redispatched(dispatcher, moves)
            other.status.record_busy(1)
            dispatcher.ping()
            holder = other
        message = holder.take()
        assert message
        assert [connection.hops for connection in message.connections] == [0]


def test_it_goes_to_one_that_was_passed_over_when_that_ends() -> None:
    """Nothing else wakes the dispatcher: the worker has not moved, and a waiting place is open."""
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(3, ONE_AT_A_TIME)
        stuck, *others = workers
        dispatcher.connect(count=3)
        for worker in others:
            wait_until(worker.take, "a connection for each")
        others[0].finish_all()
        wait_until(others[0].take, "what the stuck one has left")
        dispatcher.connect()
        wait_until(lambda: dispatcher.slot(stuck)["sent"] == 2, "its time is over")


def test_it_stays_with_the_only_worker_and_under_ip_hash_nobody_waits() -> None:
    with DispatcherProcess(Policy.IP_HASH) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(2, ONE_AT_A_TIME)
        fill(dispatcher, workers)
        dispatcher.connect()
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 2
        for worker in workers:
            worker.finish_all()
        wait_until(lambda: any(worker.take() for worker in workers), "it comes from the backlog")


def test_it_goes_to_another_when_its_worker_dies() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(2, ONE_AT_A_TIME)
        fill(dispatcher, workers)
        holder = holder_of_next(dispatcher, workers)
        (other,) = [worker for worker in workers if worker is not holder]
        holder.kill()
        assert dispatcher.wait_event(EventName.WORKER_DIED).taken_back == 1
        other.finish_all()
        wait_until(other.take, "what waited for the other")


def test_one_that_is_full_and_has_no_credit_gets_none() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, WorkerBounds(credit=16, capacity=2, max_connections=2))
        dispatcher.connect(count=3)
        worker.take_until(2)
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 2
        worker.finish(worker.taken[0])
        worker.take_until(2)
