"""The supervisor's end of a lifecycle channel: what a worker may say, and what it costs to talk nonsense."""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from fastlb.supervisor.python.channel import ChannelClosed, ReadySaid, WorkerChannel, WorkerMessage
from fastlb.worker.wire import MAX_LINE_BYTES, Serving, StartupFailed

from tests.support.waiting import let_run_until
from tests.support.worker_config import worker_config

uvloop.new_event_loop().close()  # libuv keeps a pipe from the first loop on

Scenario = Callable[[WorkerChannel, socket.socket, list[WorkerMessage]], Awaitable[None]]


def run(scenario: Scenario) -> list[WorkerMessage]:
    """Give the scenario a channel, the worker's end of it and what is heard; return that."""
    heard: list[WorkerMessage] = []

    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            channel = WorkerChannel(asyncio.get_running_loop(), ours, heard.append)
            try:
                await scenario(channel, theirs, heard)
            finally:
                channel.close()

    uvloop.run(main())
    return heard


def said(*chunks: bytes) -> list[WorkerMessage]:
    """What is heard when a worker writes these chunks and closes."""

    async def scenario(_: WorkerChannel, theirs: socket.socket, heard: list[WorkerMessage]) -> None:
        theirs.setblocking(False)
        for chunk in chunks:
            try:
                await asyncio.get_running_loop().sock_sendall(theirs, chunk)
            except ConnectionError:
                break
        theirs.close()
        await let_run_until(lambda: any(isinstance(message, ChannelClosed) for message in heard), "the end is heard")

    return run(scenario)


def test_reports_are_heard_in_order() -> None:
    *messages, end = said(b'{"type":"serving","interface":"asgi","capacity":3}\n"ready"\n')
    assert messages == [Serving("asgi", 3), ReadySaid()]
    assert end == ChannelClosed("closed its channel to the supervisor")


def test_report_in_pieces_is_one_report() -> None:
    line = b'{"type":"startup_failed","reason":"no","traceback":"T","usage":true}\n'
    assert said(*(line[i : i + 1] for i in range(len(line))))[0] == StartupFailed("no", "T", True)


def test_user_messages_are_no_reports() -> None:
    assert len(said(b'{"hello":1}\n[1,2]\nnull\n"Ready"\n3\n{"type":"other"}\n')) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"nonsense\n", "no JSON"),
        (b"\xff\xfe\n", "no JSON"),
        (b'{"type":"serving","interface":"cgi"}\n', "malformed"),
        (b'{"type":"startup_failed"}\n', "malformed"),
        (b"x" * (MAX_LINE_BYTES + 1), "more than"),
    ],
)
def test_nonsense_costs_the_channel(line: bytes, words: str) -> None:
    heard = said(line, b'"ready"\n')
    assert len(heard) == 1
    assert isinstance(heard[0], ChannelClosed)
    assert words in heard[0].reason


def test_random_bytes_end_in_a_closed_channel_at_most(rng: random.Random) -> None:
    for _ in range(200):
        heard = said(rng.randbytes(rng.randrange(1, 300)))
        assert isinstance(heard[-1], ChannelClosed)


def test_last_words_are_heard_after_the_death() -> None:
    async def scenario(channel: WorkerChannel, theirs: socket.socket, heard: list[WorkerMessage]) -> None:
        theirs.sendall(b'{"type":"startup_failed","reason":"no"}\n')
        theirs.close()
        channel.take_last_words()
        assert heard == [StartupFailed("no")]

    run(scenario)


def test_config_that_the_socket_does_not_take_at_once_arrives_whole() -> None:
    config = worker_config(args=("x" * 600_000,))

    async def scenario(channel: WorkerChannel, theirs: socket.socket, _: list[WorkerMessage]) -> None:
        channel.send_config(config)
        theirs.setblocking(False)
        received = b""
        while not received.endswith(b"\n"):
            received += await asyncio.get_running_loop().sock_recv(theirs, 65536)
        assert len(received) > 600_000

    run(scenario)
