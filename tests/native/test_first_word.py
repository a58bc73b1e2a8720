"""While a worker has been held up, a new connection waits for a moment for the first word of its client."""

import os
import signal

import pytest

from tests.support.dispatcher_process import DispatcherProcess

ANY_NUMBER, ONE = 0, 1


@pytest.mark.parametrize(("per_message", "is_overtaken"), [(ANY_NUMBER, False), (ONE, True)])
def test_who_has_spoken_overtakes_who_is_silent(per_message: int, *, is_overtaken: bool) -> None:
    with DispatcherProcess() as dispatcher:  # its hand-over timeout never comes: the silent one has a bound of its own
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1)
        worker.status.want_per_message(per_message)
        dispatcher.ping()
        os.kill(dispatcher.process.pid, signal.SIGSTOP)
        try:
            (silent,) = dispatcher.connect()
            (speaker,) = dispatcher.connect()
            speaker.sendall(b"GET")
        finally:
            os.kill(dispatcher.process.pid, signal.SIGCONT)
        worker.take_until(2)
        came = [connection.port for connection in worker.taken]
        expected = [client.getsockname()[1] for client in (silent, speaker)]
        assert came == (expected[::-1] if is_overtaken else expected)
        dispatcher.ping()
        assert dispatcher.counters()["openings"] == 0
