"""A connection's way through a real dispatcher process into a worker's channel."""

import pytest
from fastlb.lb.command import WorkerBounds

from tests.support.dispatcher_process import DispatcherProcess


def test_connection_arrives_at_worker_with_its_record() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen(listener_id=3)
        (worker,) = dispatcher.start_workers(1)
        (client,) = dispatcher.connect(listener_id=3)
        dispatcher.wait_dispatched(1)
        (connection,) = worker.take_all()
        worker.finish(connection, b"hello")
        assert client.recv(16) == b"hello"
        assert client.recv(16) == b""
        assert connection.listener_id == 3
        assert connection.port == client.getsockname()[1]
        assert connection.address[:4] == bytes([127, 0, 0, 1])
        assert connection.hops == 0


@pytest.mark.parametrize(
    ("wanted", "sizes"),
    [(0, [5]), (1, [1] * 5), (2, [2, 2, 1]), (16, [5]), (17, [5]), (2**64 - 1, [5])],
)
def test_message_has_no_more_connections_than_its_worker_wants(wanted: int, sizes: list[int]) -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, WorkerBounds(credit=5, capacity=0, max_connections=0))
        dispatcher.connect(count=5)
        dispatcher.wait_dispatched(5)
        dispatcher.connect(count=5)  # they wait in the kernel, as there is no credit: so they go together
        worker.status.want_per_message(wanted)
        *_, last = iter(worker.receive, None)
        worker.status.record_taken(last.position, 5)  # all at once, as it is a move after which there is credit
        dispatcher.wait_dispatched(10)
        messages = iter(worker.receive, None)
        assert [len(message.connections) for message in messages] == sizes
