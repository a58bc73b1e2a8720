"""What a hand-over costs by descriptors per message: sendmsg, recvmsg and the closes, in both directions."""

import os
import socket

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.support.channel_worker import encode_message

CONNECTIONS = 480  # handed over in one round, however they are batched


@pytest.mark.parametrize("fds_per_message", [1, 2, 4, 8, 16])
def test_handover(benchmark: BenchmarkFixture, fds_per_message: int) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection, peer = socket.socketpair()
    data, fds = encode_message(1, fds_per_message), [connection.fileno()] * fds_per_message

    def hand_over() -> None:
        for _ in range(CONNECTIONS // fds_per_message):
            socket.send_fds(ours, [data], fds)
            for fd in socket.recv_fds(theirs, len(data), fds_per_message)[1]:
                os.close(fd)

    with ours, theirs, connection, peer:
        benchmark(hand_over)
    if benchmark.stats is not None:
        benchmark.extra_info["us_per_connection"] = round(benchmark.stats.stats.median / CONNECTIONS * 1e6, 2)
