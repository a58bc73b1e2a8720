"""Open connections of Node workers, counted by their descriptors: no code of ours runs in them."""

import pytest
from fastlb.lb.command import Policy, WorkerBounds

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import CountedNodeWorker, NodeChannelWorker, UncountedNodeWorker, serve_until

MANY = WorkerBounds(credit=100, capacity=0, max_connections=0)
FOUR = WorkerBounds(credit=2, capacity=0, max_connections=4)


def start(dispatcher: DispatcherProcess, *workers: CountedNodeWorker) -> None:
    """Add and admit the workers; what they have open now are no connections."""
    for worker in workers:
        dispatcher.add_node_worker(worker)
        dispatcher.admit(worker, baseline=worker.baseline())


def accept_open(worker: CountedNodeWorker, count: int) -> None:
    """Have the worker accept connections and keep them open, in its process as it seems."""
    connections = worker.wait_taken(count)
    worker.change_descriptors(count)
    worker.accept(*connections)
    for connection in connections:
        worker.finish(connection)


def counted(dispatcher: DispatcherProcess, worker: NodeChannelWorker) -> int:
    dispatcher.ping()
    return dispatcher.slot(worker)["open"]


def test_least_connections_goes_by_what_is_open() -> None:
    with DispatcherProcess(Policy.LEAST_CONNECTIONS) as dispatcher:
        dispatcher.listen()
        workers = [CountedNodeWorker(slot, 1000 + slot, MANY) for slot in range(3)]
        start(dispatcher, *workers)
        dispatcher.connect(count=30)
        for worker in workers:
            accept_open(worker, 10)
        assert [counted(dispatcher, worker) for worker in workers] == [10, 10, 10]
        workers[1].change_descriptors(-10)
        assert counted(dispatcher, workers[1]) == 0
        dispatcher.connect(count=10)
        workers[1].wait_taken(10)
        assert [len(worker.announced) for worker in workers] == [10, 20, 10]


def test_descriptors_that_are_no_connections_do_not_count() -> None:
    """A worker cannot have more connections than it has accepted: the others are files, or clients of its own."""
    with DispatcherProcess(Policy.LEAST_CONNECTIONS) as dispatcher:
        dispatcher.listen()
        worker = CountedNodeWorker(0, 1000, MANY)
        worker.change_descriptors(7)
        start(dispatcher, worker)
        assert counted(dispatcher, worker) == 0
        worker.change_descriptors(50)
        assert counted(dispatcher, worker) == 0
        dispatcher.connect(count=3)
        accept_open(worker, 3)
        assert counted(dispatcher, worker) == 3
        worker.change_descriptors(-60)
        assert counted(dispatcher, worker) == 0


def test_max_connections_bounds_what_is_open() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        worker = CountedNodeWorker(0, 1000, FOUR)
        start(dispatcher, worker)
        dispatcher.connect(count=7)
        accept_open(worker, 2)
        accept_open(worker, 2)
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 4
        for closed in range(1, 4):
            worker.change_descriptors(-1)  # nobody tells the dispatcher: it looks
            accept_open(worker, 1)
            assert dispatcher.counters()["accepted"] == 4 + closed


def test_who_is_below_max_connections_gets_the_rest() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        full, other = CountedNodeWorker(0, 1000, FOUR), CountedNodeWorker(1, 1001, MANY)
        start(dispatcher, full)
        dispatcher.connect(count=4)
        accept_open(full, 2)
        accept_open(full, 2)
        start(dispatcher, other)
        for _ in range(10):
            (client,) = dispatcher.connect()
            serve_until([other], 1)
            assert client.recv(4) == b"x"
        full.read_all()
        assert not full.taken


def test_dispatcher_that_waits_for_nothing_does_not_look() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        full, other = CountedNodeWorker(0, 1000, FOUR), CountedNodeWorker(1, 1001, MANY)
        start(dispatcher, full, other)
        dispatcher.connect(count=4)
        full.wait_taken(2)
        other.wait_taken(2)
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.2)
        assert dispatcher.counters()["wakeups"] == wakeups


def test_full_worker_is_looked_at_though_a_worker_of_another_listener_has_room() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen(0)
        dispatcher.listen(1)
        full, other = CountedNodeWorker(0, 1000, FOUR, 0b01), CountedNodeWorker(1, 1001, MANY, 0b10)
        start(dispatcher, full, other)
        dispatcher.connect(listener_id=0, count=5)
        accept_open(full, 2)
        accept_open(full, 2)
        dispatcher.ping()
        assert dispatcher.counters()["accepted"] == 4
        full.change_descriptors(-1)
        accept_open(full, 1)


def test_predecessors_connections_count_for_a_successor() -> None:
    with DispatcherProcess(Policy.LEAST_CONNECTIONS, epoch=2) as dispatcher:
        dispatcher.listen()
        old, new = CountedNodeWorker(0, 1000, MANY), CountedNodeWorker(1, 1001, MANY)
        baseline = old.baseline()
        old.change_descriptors(5)
        dispatcher.add_node_worker(old)
        dispatcher.admit(old, baseline=baseline)
        start(dispatcher, new)
        assert counted(dispatcher, old) == 5
        dispatcher.connect(count=5)
        new.wait_taken(5)
        old.read_all()
        assert not old.announced


@pytest.mark.parametrize("policy", [Policy.ROUND_ROBIN, Policy.LEAST_CONNECTIONS])
def test_on_an_old_kernel_only_what_waits_counts(policy: Policy) -> None:
    with DispatcherProcess(policy) as dispatcher:
        dispatcher.listen()
        workers = [UncountedNodeWorker(slot, 1000 + slot, FOUR) for slot in range(2)]
        for worker in workers:
            dispatcher.add_node_worker(worker)
        dispatcher.admit(*workers, baseline=20)
        dispatcher.connect(count=20)
        serve_until(workers, 20)
        assert [counted(dispatcher, worker) for worker in workers] == [0, 0]
        dispatcher.connect(count=4)
        for worker in workers:
            worker.wait_taken(2)


def test_worker_that_is_gone_is_not_looked_at_in_vain() -> None:
    with DispatcherProcess(Policy.LEAST_CONNECTIONS) as dispatcher:
        dispatcher.listen()
        gone, other = CountedNodeWorker(0, 1000, MANY), CountedNodeWorker(1, 1001, MANY)
        start(dispatcher, gone, other)
        dispatcher.connect(count=4)
        gone.wait_taken(2)
        gone.die()
        other.wait_taken(4)
        dispatcher.connect(count=2)
        other.wait_taken(6)
