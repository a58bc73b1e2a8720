"""The transport of a plain connection: what it reads, sends, holds and tells, on either event loop."""

import asyncio
import gc
import os
import random
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import pytest
import uvloop
from fastlb.lb.inbox import ConnectionInbox, HandedSocket
from fastlb.lb.page import WorkerPageView, WorkerStatus, create_worker_page
from fastlb.worker.transport.socket_transport import SocketPoller

from tests.support.event_loop import open_loop_globals
from tests.support.waiting import scaled

LARGE = 8_000_000
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


class Recorder:
    """A protocol that notes what it is called for, and does what the test wants then."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.data = b""
        self.calls: list[str] = []
        self.error: BaseException | None = None
        self.lost = asyncio.Event()
        self.changed = asyncio.Event()
        self.on_data: Callable[[], object] = lambda: None
        self.stays_at_end = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("made")

    def settle(self) -> None:
        self.note("settled")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.note("data")
        self.on_data()
        self.note("data done")

    def eof_received(self) -> bool:
        self.note("eof")
        return self.stays_at_end

    def pause_writing(self) -> None:
        self.note("paused")

    def resume_writing(self) -> None:
        self.note("resumed")

    def connection_lost(self, error: BaseException | None) -> None:
        self.error = error
        self.note("lost")
        self.lost.set()

    def note(self, call: str) -> None:
        self.calls.append(call)
        self.changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a state that a call brings about."""
        async with asyncio.timeout(scaled(10)):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Side:
    """The worker's side: a poller on the running loop, whose connections are counted on a page."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.page_fd, self.wakeup_fd = create_worker_page(), os.eventfd(0)
        self.page = WorkerPageView(self.page_fd)
        self.inbox = ConnectionInbox(-1, WorkerStatus(self.page_fd, self.wakeup_fd))
        self.protocols: list[Recorder] = []
        self.errors: list[dict[str, Any]] = []
        self.prepare: Callable[[Recorder], object] = lambda protocol: None
        self.poller = SocketPoller(self.loop, self.create)
        self.loop.set_exception_handler(lambda loop, context: self.errors.append(context))

    def create(self, handed: HandedSocket) -> Recorder:
        protocol = Recorder()
        self.prepare(protocol)
        self.protocols.append(protocol)
        return protocol

    def connect(self, sent: bytes = b"") -> tuple[socket.socket, Recorder]:
        """Adopt a connection whose client has sent `sent`."""
        client, handed = self.accept(sent)
        self.poller.adopt(handed)
        return client, self.protocols[-1]

    def accept(self, sent: bytes = b"") -> tuple[socket.socket, HandedSocket]:
        """Return a client, which has sent `sent`, and its connection."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            client.setblocking(False)
            client.sendall(sent)
            accepted, _ = server.accept()
        accepted.setblocking(False)
        return client, self.inbox.adopt(accepted.detach(), 1, 0)

    async def read(self, client: socket.socket, count: int) -> bytes:
        """Read as a client: `count` bytes, or fewer when the connection ends."""
        data = bytearray()
        async with asyncio.timeout(scaled(10)):
            while len(data) < count and (piece := await self.loop.sock_recv(client, 65536)):
                data += piece
        return bytes(data)

    def close(self) -> None:
        self.loop.remove_reader(self.poller.fileno())
        os.close(self.page_fd)
        os.close(self.wakeup_fd)


@contextmanager
def counted_descriptors() -> Iterator[None]:
    """Check that as many descriptors are open afterwards as before."""
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture(params=LOOPS)
def serve(request: pytest.FixtureRequest) -> Callable[[Callable[[Side], Any]], None]:
    """Runs a test's coroutine function with a worker's side on an event loop."""

    async def main(test: Callable[[Side], Any]) -> None:
        side = Side()
        try:
            await test(side)
        finally:
            side.close()

    open_loop_globals()

    def run(test: Callable[[Side], Any]) -> None:
        with counted_descriptors(), asyncio.Runner(loop_factory=LOOPS[cast(str, request.param)]) as runner:
            runner.run(main(test))

    return run


Serve = Callable[[Callable[[Side], Any]], None]


def test_what_has_come_is_read_before_the_connection_is_watched(serve: Serve) -> None:
    async def test(side: Side) -> None:
        client, protocol = side.connect(b"first")
        with client:
            assert (protocol.data, protocol.calls) == (b"first", ["made", "data", "data done", "settled"])
            client.sendall(b", second")
            await protocol.until(lambda: protocol.data == b"first, second")
        await protocol.lost.wait()
        assert protocol.error is None

    serve(test)


def test_connection_that_is_answered_at_once_is_gone_at_once(serve: Serve) -> None:
    async def test(side: Side) -> None:
        def answer(protocol: Recorder) -> None:
            protocol.on_data = lambda: (protocol.transport.write(b"answer"), protocol.transport.close())

        side.prepare = answer
        client, protocol = side.connect(b"request")
        # Never while the protocol itself does something, and without a turn of the loop.
        assert protocol.calls == ["made", "data", "data done", "lost"]
        assert side.inbox.connection_fds == set()
        with client:
            assert await side.read(client, 100) == b"answer"

    serve(test)


def test_close_between_two_turns_is_told_in_the_next(serve: Serve) -> None:
    async def test(side: Side) -> None:
        client, protocol = side.connect()
        with client:
            protocol.transport.close()
            protocol.transport.close()
            assert "lost" not in protocol.calls
            await protocol.lost.wait()
            assert protocol.calls.count("lost") == 1
            assert await side.read(client, 1) == b""

    serve(test)


@pytest.mark.parametrize("ends", ["close", "write_eof"])
def test_what_the_kernel_does_not_take_is_held_and_sent_in_order(serve: Serve, ends: str) -> None:
    async def test(side: Side) -> None:
        client, protocol = side.connect()
        pieces = [random.Random(7).randbytes(size) for size in (3, LARGE, 1, 70_000, 5)]
        with client:
            protocol.transport.write(pieces[0])
            protocol.transport.write(pieces[1])
            assert protocol.calls[-1] == "paused"
            protocol.transport.writelines(pieces[2:4])
            protocol.transport.write(pieces[4])
            held = protocol.transport.get_write_buffer_size()
            assert LARGE / 2 < held < LARGE + 70_100
            getattr(protocol.transport, ends)()
            assert await side.read(client, LARGE * 2) == b"".join(pieces)
            assert protocol.transport.get_write_buffer_size() == 0
            assert protocol.calls.count("paused") == 1
            assert protocol.calls.count("resumed") == (ends == "write_eof")
        await protocol.lost.wait()

    serve(test)


def test_many_pieces_go_together(serve: Serve) -> None:
    async def test(side: Side) -> None:
        client, protocol = side.connect()
        pieces = [bytes([number]) * number * 1000 for number in range(100)]
        with client:
            protocol.transport.writelines(pieces)
            protocol.transport.writelines(pieces)
            protocol.transport.close()
            assert await side.read(client, 2 * LARGE) == b"".join(pieces) * 2

    serve(test)


def test_abort_drops_what_is_held(serve: Serve) -> None:
    async def test(side: Side) -> None:
        client, protocol = side.connect()
        with client:
            protocol.transport.write(bytes(LARGE))
            protocol.transport.abort()
            await protocol.lost.wait()
            assert protocol.transport.get_write_buffer_size() == 0
            assert len(await side.read(client, LARGE)) < LARGE
            protocol.transport.write(b"nobody reads it")
            protocol.transport.resume_reading()

    serve(test)


def test_client_that_sends_no_more_may_be_answered(serve: Serve) -> None:
    async def test(side: Side) -> None:
        side.prepare = lambda protocol: setattr(protocol, "stays_at_end", True)
        client, protocol = side.connect(b"request")
        with client:
            client.shutdown(socket.SHUT_WR)
            await protocol.until(lambda: "eof" in protocol.calls)
            protocol.transport.resume_reading()
            protocol.transport.write(b"answer")
            protocol.transport.close()
            assert await side.read(client, 100) == b"answer"
        await protocol.lost.wait()
        assert protocol.calls.count("eof") == 1

    serve(test)


def test_client_that_sends_no_more_is_left_otherwise(serve: Serve) -> None:
    async def test(side: Side) -> None:
        client, protocol = side.connect(b"request")
        with client:
            client.shutdown(socket.SHUT_WR)
            assert await side.read(client, 1) == b""
        await protocol.lost.wait()

    serve(test)


def test_paused_client_is_not_read_and_its_end_costs_no_turns(serve: Serve) -> None:
    async def test(side: Side) -> None:
        side.prepare = lambda protocol: setattr(protocol, "on_data", lambda: protocol.transport.pause_reading())
        client, protocol = side.connect(b"first")
        other, busy = side.connect()
        with client, other:
            client.sendall(b"second")
            await exchange_turns(side, other, busy)
            assert protocol.data == b"first"
            protocol.transport.resume_reading()
            await protocol.until(lambda: protocol.data == b"firstsecond")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            await exchange_turns(side, other, busy)
            # Nothing of the reset is told for as long as nothing is read.
            assert "lost" not in protocol.calls
            assert not is_ready(side.poller.fileno())
            protocol.transport.resume_reading()
            await protocol.lost.wait()
            assert isinstance(protocol.error, ConnectionResetError)

    serve(test)


async def exchange_turns(side: Side, client: socket.socket, protocol: Recorder) -> None:
    """Let the loop turn, as often as another client is heard."""
    for _ in range(3):
        wanted = protocol.data + b"x"
        client.sendall(b"x")
        await protocol.until(partial(has_received, protocol, wanted))
        protocol.transport.resume_reading()


def has_received(protocol: Recorder, data: bytes) -> bool:
    """Say whether this is all that `protocol` was given."""
    return protocol.data == data


def is_ready(fd: int) -> bool:
    """Say whether an event loop would be woken by `fd`."""
    return bool(select.select([fd], [], [], 0)[0])


def test_reset_is_told_as_an_error(serve: Serve) -> None:
    async def test(side: Side) -> None:
        client, protocol = side.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await protocol.lost.wait()
        assert isinstance(protocol.error, ConnectionResetError)

    serve(test)


def test_sending_to_a_client_that_is_gone_ends_the_connection(serve: Serve) -> None:
    async def test(side: Side) -> None:
        side.prepare = lambda protocol: setattr(protocol, "stays_at_end", True)
        client, protocol = side.connect()
        client.close()
        await protocol.until(lambda: "eof" in protocol.calls)
        protocol.transport.write(bytes(LARGE))  # the client's kernel answers with a reset
        await protocol.lost.wait()
        assert isinstance(protocol.error, ConnectionError)

    serve(test)


@pytest.mark.parametrize("late", [False, True])
def test_error_of_a_protocol_ends_its_connection_alone(serve: Serve, late: bool) -> None:
    async def test(side: Side) -> None:
        def fail() -> None:
            raise ValueError("of the protocol")

        side.prepare = lambda protocol: setattr(protocol, "on_data", fail)
        client, protocol = side.connect(b"" if late else b"request")
        side.prepare = lambda protocol: None
        other, healthy = side.connect()
        with client, other:
            if late:
                client.sendall(b"request")
            assert await side.read(client, 1) == b""
            await protocol.lost.wait()
            other.sendall(b"request")
            await healthy.until(lambda: healthy.data == b"request")
        assert [str(error["exception"]) for error in side.errors] == ["of the protocol"]

    serve(test)


def test_error_in_a_first_read_keeps_no_other_end_from_being_told(serve: Serve) -> None:
    async def test(side: Side) -> None:
        first, ended = side.connect()
        second, closed = side.connect()

        def end_another_and_fail() -> None:
            ended.transport.close()
            raise ValueError("of the protocol")

        side.prepare = lambda protocol: setattr(protocol, "on_data", end_another_and_fail)
        third, _ = side.connect(b"request")
        with first, second, third:
            await asyncio.wait_for(ended.lost.wait(), scaled(10))
            closed.transport.close()
            await asyncio.wait_for(closed.lost.wait(), scaled(10))

    serve(test)


def test_connection_of_which_no_protocol_can_be_made_is_closed(serve: Serve) -> None:
    async def test(side: Side) -> None:
        def fail(protocol: Recorder) -> None:
            raise ValueError("no protocol")

        side.prepare = fail
        client, handed = side.accept()
        side.poller.adopt(handed)
        with client:
            assert await side.read(client, 1) == b""
        assert side.inbox.connection_fds == set()
        assert [str(error["exception"]) for error in side.errors] == ["no protocol"]

    serve(test)
