"""Messages and pages that no honest peer would write: each costs its sender only, no descriptor leaks."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import random
import select
import socket
from collections.abc import Iterator

import pytest
from fastlb.lb.command import (
    COMMAND_BYTES,
    CommandName,
    EventName,
    NewWorker,
    Policy,
    encode_add_worker,
    encode_admit,
    encode_drain,
    encode_expect_opening,
    encode_pause,
    encode_remove,
    encode_remove_listener,
    encode_resume,
)

from tests.support.channel_worker import UNBOUNDED, ChannelWorker, encode_message
from tests.support.dispatcher_process import DispatcherProcess
from tests.support.random_commands import RandomCommand
from tests.support.waiting import scaled, wait_until

SEED = 20260101
CONTROL_MESSAGES = 60_000
CHANNELS = 400
MESSAGES_PER_CHANNEL = 100
PAGE_BYTES = 4096
CACHE_LINE = 64
WORKER_LINES = slice(CACHE_LINE, 3 * CACHE_LINE)  # what a worker writes besides its latencies
POSITION_AT = CACHE_LINE


@pytest.fixture
def some_fds() -> Iterator[list[int]]:
    """Descriptors of several kinds, to send along."""
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with left, right, udp, open(os.devnull) as null:
        yield [left.fileno(), right.fileno(), udp.fileno(), null.fileno()]


def random_command(generator: random.Random) -> bytes:
    """Bytes that may be a command, nearly one, or nothing of the kind; never QUIT."""
    shape = generator.randrange(4)
    if shape == 0:
        return generator.randbytes(generator.randrange(0, 300))
    name = generator.choice([name for name in CommandName if name is not CommandName.QUIT])
    slot = generator.choice((0, 1, 2, 63, 64, 1023, 1024, 2**32 - 1, generator.getrandbits(32)))
    incarnation = generator.choice((0, 1, generator.getrandbits(64)))
    command = RandomCommand(generator, slot, incarnation).encode(name)
    if shape == 1:
        return command
    mutated = bytearray(command)
    for _ in range(generator.randrange(1, 8)):
        mutated[generator.randrange(8, COMMAND_BYTES)] = generator.getrandbits(8)
    if shape == 2:
        return bytes(mutated)
    return bytes(mutated[: generator.randrange(COMMAND_BYTES)]) + generator.randbytes(generator.randrange(2))


def discard_events(dispatcher: DispatcherProcess) -> int:
    """Read what the dispatcher has reported; return how many were rejections."""
    rejected = 0
    dispatcher.control.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            rejected += dispatcher.next_event().name is EventName.REJECTED
    dispatcher.control.settimeout(scaled(10))
    return rejected


def check_service(dispatcher: DispatcherProcess, worker: ChannelWorker) -> None:
    """A connection still finds its way to the worker, whatever comes before it."""
    (client,) = dispatcher.connect()

    def answered() -> bool:
        worker.take_all()
        worker.finish_all(b"x")
        return bool(select.select([client], [], [], 0)[0])

    wait_until(answered, "an answer")
    assert client.recv(4) == b"x"


def test_malformed_commands_cost_their_sender_only(some_fds: list[int]) -> None:
    generator = random.Random(SEED)
    with DispatcherProcess() as dispatcher:
        dispatcher.listen(listener_id=20)
        worker = dispatcher.new_worker(500)
        dispatcher.admit(worker)
        rejected = 0
        for number in range(CONTROL_MESSAGES):
            fds = generator.choices(some_fds, k=generator.choice((0, 0, 0, 1, 2, 4, 5, 250)))
            dispatcher.send(random_command(generator), fds)
            if number % 50 == 0:
                rejected += discard_events(dispatcher)
        assert rejected > 1000
        # some of them were valid by chance: undo what they did
        dispatcher.send(encode_resume())
        dispatcher.send(encode_expect_opening(10**12, [(bytes(16), 0)], unix_peers=True))
        dispatcher.give_listener(20, dispatcher.listeners[20])
        dispatcher.connect(listener_id=20)[0].sendall(b"PROXY UNKNOWN\r\n")
        worker.take_until(1)


def random_message(generator: random.Random, fds: list[int]) -> tuple[bytes, list[int]]:
    """A channel message that no dispatcher sends."""
    shape = generator.randrange(6)
    count = generator.randrange(1, 17)
    valid = encode_message(generator.getrandbits(64), count)
    if shape == 0:
        noise = generator.randbytes(generator.randrange(1, 700))
        return noise, generator.choices(fds, k=generator.randrange(4))
    if shape == 1:
        return valid, generator.choices(fds, k=count + 1)
    if shape == 2:
        return valid[: generator.randrange(1, len(valid))], generator.choices(fds, k=count)
    if shape == 3:
        return valid[:4] + generator.randbytes(4) + valid[8:], generator.choices(fds, k=count)
    if shape == 4:
        return bytes(byte ^ 0xFF for byte in valid[:4]) + valid[4:], generator.choices(fds, k=count)
    return valid + b"more", generator.choices(fds, k=generator.choice((count, 253)))


def test_malformed_messages_in_a_channel_are_thrown_away(some_fds: list[int]) -> None:
    generator = random.Random(SEED)
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        worker = dispatcher.new_worker(0)
        dispatcher.admit(worker)
        spoiled = dispatcher.new_worker(1)
        dispatcher.remove(spoiled)
        for incarnation in range(1, CHANNELS + 1):
            spoiled = ChannelWorker(1, incarnation)
            spoil(spoiled, generator, some_fds)
            dispatcher.workers[1] = spoiled
            dispatcher.add(spoiled)
            dispatcher.remove(spoiled)
            if incarnation % 100 == 0:
                check_service(dispatcher, worker)
        assert dispatcher.counters()["malformed"] == CHANNELS * MESSAGES_PER_CHANNEL
        assert dispatcher.counters()["redispatched"] == 0


def spoil(worker: ChannelWorker, generator: random.Random, fds: list[int]) -> None:
    worker.dispatcher_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    for _ in range(MESSAGES_PER_CHANNEL):
        data, sent_fds = random_message(generator, fds)
        socket.send_fds(worker.dispatcher_end, [data], sent_fds)


def test_connections_between_malformed_messages_are_found(some_fds: list[int]) -> None:
    with DispatcherProcess() as dispatcher:
        victim = dispatcher.new_worker(0)
        dispatcher.ping()
        socket.send_fds(victim.dispatcher_end, [b""], some_fds)
        socket.send_fds(victim.dispatcher_end, [b"garbage"], some_fds)
        socket.send_fds(victim.dispatcher_end, [b""], [])
        socket.send_fds(victim.dispatcher_end, [encode_message(1, 2)], some_fds[:2])
        victim.kill()
        assert dispatcher.wait_event(EventName.WORKER_DIED).taken_back == 2
        assert dispatcher.counters()["malformed"] == 3
        dispatcher.admit(dispatcher.new_worker(1))


def test_empty_command_is_not_the_end(some_fds: list[int]) -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.send(b"", [])
        assert dispatcher.wait_event(EventName.REJECTED).error == errno.EINVAL
        dispatcher.send(b"", some_fds)
        assert dispatcher.wait_event(EventName.REJECTED).error == errno.EINVAL


def test_worker_cannot_send_anything_into_its_channel(some_fds: list[int]) -> None:
    with DispatcherProcess() as dispatcher:
        (worker,) = dispatcher.start_workers(1)
        with pytest.raises(BrokenPipeError):
            socket.send_fds(worker.channel, [b"mine"], some_fds)


@pytest.mark.parametrize("policy", Policy)
def test_random_page_harms_only_its_worker(policy: Policy) -> None:
    generator = random.Random(SEED)
    with DispatcherProcess(policy, handover_timeout_ns=1_000_000) as dispatcher:
        dispatcher.listen()
        liar, honest = dispatcher.start_workers(2)
        served = 0
        with mmap.mmap(liar.page_fd, PAGE_BYTES) as page:
            for _ in range(2000):
                page[WORKER_LINES] = generator.randbytes(2 * CACHE_LINE)
                page[POSITION_AT : POSITION_AT + 8] = random_claim(generator)
                served += bool(dispatcher.connect(count=generator.randrange(2)))
                liar.take_all() if generator.randrange(2) else None
                liar.finish_all()
                honest.take_all()
                honest.finish_all()
            page[WORKER_LINES] = bytes(2 * CACHE_LINE)
        liar.kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        honest.take_all()
        honest.finish_all()
        check_service(dispatcher, honest)


def random_claim(generator: random.Random) -> bytes:
    """A position near the edges of what could be true."""
    base = generator.choice((0, 1 << 40, (1 << 41) - 1, 1 << 63, (1 << 64) - 1))
    return ((base + generator.randrange(-20, 20)) % 2**64).to_bytes(8, "little")


@pytest.mark.parametrize("wrong", range(5))
def test_add_worker_with_a_wrong_descriptor_is_rejected(wrong: int, some_fds: list[int]) -> None:
    with DispatcherProcess() as dispatcher:
        worker = ChannelWorker(0, 1)
        fds = worker.fds
        fds[wrong] = some_fds[3]
        dispatcher.send(encode_add_worker(NewWorker(0, 1, UNBOUNDED, 0)), fds)
        assert dispatcher.wait_event(EventName.REJECTED).command == CommandName.ADD_WORKER
        worker.close()


def test_commands_are_idempotent() -> None:
    with DispatcherProcess() as dispatcher:
        listener = dispatcher.listen()
        dispatcher.give_listener(0, listener)
        worker = dispatcher.new_worker(0)
        dispatcher.add(worker)
        dispatcher.admit(worker)
        dispatcher.add(worker)
        dispatcher.admit(worker)
        dispatcher.configure()
        dispatcher.drain(worker)
        dispatcher.drain(worker)
        dispatcher.wait_event(EventName.DRAINED)
        dispatcher.send(encode_remove(0, worker.incarnation))
        dispatcher.remove(worker)
        dispatcher.send(encode_remove_listener(0))
        dispatcher.send(encode_remove_listener(0))
        dispatcher.ping()
        dispatcher.listeners.pop(0).close()
        assert all(event.name is not EventName.REJECTED for event in dispatcher.events)


def test_command_for_another_incarnation_is_rejected() -> None:
    with DispatcherProcess() as dispatcher:
        worker = dispatcher.new_worker(0, incarnation=5)
        for encode in (encode_admit, encode_drain, encode_remove):
            dispatcher.send(encode(0, 4))
            event = dispatcher.wait_event(EventName.REJECTED)
            assert (event.slot, event.incarnation, event.listener_id, event.error) == (0, 4, 0, errno.ESTALE)
        dispatcher.admit(worker)


def test_events_wait_for_a_supervisor_that_does_not_read() -> None:
    with DispatcherProcess() as dispatcher:
        workers = dispatcher.start_workers(2)
        for _ in range(2000):
            dispatcher.send(encode_admit(9, 1))
        for worker in workers:
            worker.kill()
        died = {dispatcher.wait_event(EventName.WORKER_DIED).slot for _ in workers}
        assert died == {0, 1}
        dispatcher.ping()


def test_nothing_but_ping_before_configure() -> None:
    with DispatcherProcess(configured=False) as dispatcher:
        dispatcher.ping()
        dispatcher.send(encode_pause())
        assert dispatcher.wait_event(EventName.REJECTED).error == errno.EPROTO
        dispatcher.configure()
