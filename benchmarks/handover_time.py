"""Owns the measurement of how long a connection is on its way, from the client that is connected to a worker.

    python -m benchmarks.handover_time       prints both: through the dispatcher, and of a process that accepts

One client at a time, nobody else waits, so nothing but the way is measured; benchmarks.queueing takes its figure from
here.
"""

import select
import socket
import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.dispatch_cost import OurLoop
from tests.support.channel_worker import decode_message

CLIENTS = 3000
PAUSE = 0.0005  # seconds, so that the dispatcher sleeps again
MESSAGE_BYTES = 4096


def through_the_dispatcher() -> list[int]:
    """Return how many ns each of the clients was on its way to a worker that waits."""
    with OurLoop(per_message=1) as loop:
        workers = {worker.channel: worker for worker in loop.workers}

        def take() -> Callable[[], None]:
            channel = select.select(list(workers), [], [])[0][0]
            data, fds, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 1)

            def settle() -> None:
                message = decode_message(data, fds)
                workers[channel].taken += message.connections
                workers[channel].say_taken(message)
                workers[channel].finish_all()

            return settle

        return times_of(loop.address, take)


def accepted_directly() -> list[int]:
    """Return how many ns each was on its way to a process that accepts itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> Callable[[], None]:
            select.select([listener], [], [])
            return listener.accept()[0].close

        return times_of(listener.getsockname(), take)


def times_of(address: tuple[str, int], take: Callable[[], Callable[[], None]]) -> list[int]:
    """Connect clients one after the other; `take` returns when one has come, with what is to be done afterwards."""
    found = []
    for _ in range(CLIENTS):
        time.sleep(PAUSE)
        with socket.create_connection(address):
            connected_at_ns = time.perf_counter_ns()
            settle = take()
            found.append(time.perf_counter_ns() - connected_at_ns)
            settle()
    return found


def main() -> int:
    """Measure both in turn, three times."""
    for _ in range(3):
        for way in (accepted_directly, through_the_dispatcher):
            quarters = statistics.quantiles(way(), n=4)
            print(f"{way.__name__}: {', '.join(f'{ns / 1000:.1f}' for ns in quarters)} us (quartiles)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
