"""A connection's way through a real dispatcher process into a worker's channel."""

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
