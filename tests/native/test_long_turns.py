"""A Python worker that says that its turns are long gets one at a time, and is busy, not stuck."""

import time

from fastlb.lb.command import Policy, WorkerBounds

from tests.support.channel_worker import UNBOUNDED, ChannelWorker
from tests.support.dispatcher_process import DispatcherProcess
from tests.support.waiting import wait_until

LONG_NS, SHORT_NS = 1_000_001, 1_000_000
MANY_THREADS = WorkerBounds(credit=16, capacity=4, max_connections=0)


def sent_to(
    turn_ns: int, bounds: WorkerBounds = UNBOUNDED, policy: Policy = Policy.ROUND_ROBIN, clients: int = 3
) -> int:
    """How many of some clients the only worker has in its channel when nothing more happens."""
    with DispatcherProcess(policy) as dispatcher:
        dispatcher.listen()
        worker = dispatcher.new_worker(0, bounds)
        worker.status.tell_turn(turn_ns)
        dispatcher.admit(worker)
        dispatcher.connect(count=clients)
        wait_until(lambda: dispatcher.slot(worker)["untaken"], "one is sent")
        dispatcher.wait_quiet()
        sent = dispatcher.slot(worker)["untaken"]
        worker.take_until(clients)
        return sent


def test_worker_of_long_turns_gets_one_at_a_time() -> None:
    assert sent_to(LONG_NS) == 1
    assert sent_to(2**64 - 1) == 1
    assert sent_to(SHORT_NS) == 3


def test_threads_are_not_taken_for_turns() -> None:
    assert sent_to(LONG_NS, MANY_THREADS) == 3


def test_clients_of_their_own_wait_for_their_worker() -> None:
    assert sent_to(LONG_NS, policy=Policy.IP_HASH) == 3


def taken_back_after(dispatcher: DispatcherProcess, turn_ns: int) -> float:
    """How many seconds after it was sent a connection that is not taken goes to another worker."""
    dispatcher.listen()
    busy = dispatcher.new_worker(0)
    busy.status.tell_turn(turn_ns)
    other: ChannelWorker = dispatcher.new_worker(1)
    dispatcher.admit(busy)
    before = time.monotonic()
    dispatcher.connect()
    wait_until(lambda: dispatcher.slot(busy)["untaken"], "it is sent")
    dispatcher.admit(other)
    other.take_until(1)
    return time.monotonic() - before


def test_nothing_is_taken_from_a_worker_of_long_turns_before_two_of_them() -> None:
    with DispatcherProcess(handover_timeout_ns=20_000_000) as dispatcher:
        assert taken_back_after(dispatcher, 100_000_000) >= 0.2
    with DispatcherProcess(handover_timeout_ns=5_000_000) as dispatcher:
        taken_back_after(dispatcher, 2**64 - 1)  # a claim: it is believed up to five hand-over timeouts
