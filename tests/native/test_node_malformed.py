"""What no honest Node worker says and no honest supervisor asks: each costs its sender only, nothing leaks."""

import contextlib
import os
import random
import select
import socket

import pytest
from fastlb.lb.command import (
    COMMAND_BYTES,
    CommandName,
    EventName,
    Policy,
    WorkerBounds,
    encode_remove,
)

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import (
    DISCONNECT,
    HANDLE,
    MISSED,
    NODE_BOUNDS,
    PROBE,
    RECEIVED,
    NodeChannelWorker,
    serve_until,
)
from tests.support.random_commands import RandomCommand
from tests.support.waiting import scaled

SEED = 20260102
ROUNDS = 300
WRITES = 40
COMMANDS = 20_000


class CarelessWorker(NodeChannelWorker):
    """Reads whatever the supervisor sends, with whatever comes along, and answers as Node would."""

    def answer_everything(self) -> None:
        """Answer what was asked or sent along, and forget it."""
        while select.select([self.channel], [], [], 0)[0]:
            data, fds, _, _ = socket.recv_fds(self.channel, 65536, 8)
            for fd in fds:
                os.close(fd)
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.say(*[RECEIVED] * len(fds), *[MISSED] * lines.count(PROBE))


def random_line(generator: random.Random, worker: NodeChannelWorker) -> bytes:
    """A line that a worker could mean, nearly one, or nothing of the kind."""
    number = generator.choice([0, 1, 2**32, 2**53, 2**64, (1 << 32) + generator.randrange(50), *worker.announced])
    known = generator.choice(
        [
            RECEIVED,
            MISSED,
            PROBE,
            DISCONNECT,
            HANDLE + b'"net.Socket","msg":null}',
            b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":true,"seq":1}' % number,
            b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":false,"seq":1}' % number,
            b'{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"port":1,"seq":2}',
            b'"text"',
            b"",
            b"null",
        ]
    )
    shape = generator.randrange(6)
    if shape == 0:
        return known[: generator.randrange(len(known) + 1)]
    if shape == 1:
        at = generator.randrange(len(known) + 1)
        return known[:at] + generator.randbytes(3) + known[at:]
    if shape == 2:
        return generator.randbytes(generator.choice((3, 100, 5000, 40_000)))
    return known


def random_bytes(generator: random.Random, worker: NodeChannelWorker) -> bytes:
    """Some lines; the last may be without its end."""
    lines = [random_line(generator, worker) for _ in range(generator.randrange(1, 6))]
    return b"\n".join(lines) + generator.choice((b"\n", b"\n", b""))


def discard_events(dispatcher: DispatcherProcess) -> int:
    """Read what the dispatcher has reported; return how many were rejections."""
    dispatcher.control.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            dispatcher.next_event()
    dispatcher.control.settimeout(scaled(10))
    rejected = sum(event.name is EventName.REJECTED for event in dispatcher.events)
    dispatcher.events.clear()
    return rejected


def say_nonsense(worker: NodeChannelWorker, generator: random.Random, fds: list[int]) -> None:
    """Write random lines, some with descriptors, as far as the channel takes them."""
    for _ in range(WRITES):
        if not select.select([], [worker.channel], [], 0)[1]:
            return
        data = random_bytes(generator, worker)
        with contextlib.suppress(BlockingIOError):
            socket.send_fds(worker.channel, [data or b"\n"], generator.choices(fds, k=generator.choice((0, 0, 1, 7))))


@pytest.mark.parametrize("policy", Policy)
def test_worker_that_says_nonsense_harms_only_itself(policy: Policy) -> None:
    """Its clients are answered when it is dead, but for those that it says it has accepted."""
    generator = random.Random(SEED)
    with DispatcherProcess(policy, handover_timeout_ns=1_000_000) as dispatcher, open(os.devnull) as null:
        dispatcher.listen()
        honest = NodeChannelWorker(0, 1, WorkerBounds(credit=50, capacity=0, max_connections=0))
        dispatcher.add_node_worker(honest)
        dispatcher.admit(honest)
        for incarnation in range(1, ROUNDS + 1):
            liar = NodeChannelWorker(1, incarnation, NODE_BOUNDS)
            liar.channel.setblocking(False)
            dispatcher.add_node_worker(liar)
            dispatcher.admit(liar)
            clients = dispatcher.connect(count=4)
            dispatcher.ping()
            liar.read_all()
            say_nonsense(liar, generator, [null.fileno()])
            discard_events(dispatcher)
            honest.serve_all()
            liar.die()
            dispatcher.wait_event(EventName.WORKER_DIED)
            dispatcher.remove(liar)
            honest.serve_all()
            dispatcher.ping()
            discard_events(dispatcher)
            for client in clients:
                dispatcher.clients.remove(client)
                client.close()
        served = len(honest.announced)
        (client,) = dispatcher.connect()
        while client not in (ready := select.select([client, honest.channel], [], [], scaled(10))[0]):
            assert ready, "those before it and it are served, one at a time: it has been slow"
            honest.serve_all()
        assert client.recv(4) == b"x"
        assert served >= ROUNDS


def random_command(generator: random.Random, workers: list[CarelessWorker]) -> bytes:
    """A command for one of the workers, or for nobody, valid or nearly so; never one that ends the dispatcher."""
    worker = generator.choice(workers)
    if not generator.randrange(6):
        new = RandomCommand(generator, generator.randrange(20, 40), generator.randrange(3))
        return new.encode(CommandName.ADD_NODE_WORKER)
    name = generator.choice([CommandName.SEND, CommandName.PROBE, CommandName.SERVE, CommandName.ADMIT])
    slot = generator.choice((worker.slot, worker.slot, worker.slot + 1, 1023, 2**32 - 1))
    incarnation = generator.choice((worker.incarnation, 1, 2))
    command = RandomCommand(generator, slot, incarnation).encode(name)[:COMMAND_BYTES]
    text = generator.choice((b"", b"\n", b'"text"\n', b"no end", b"x" * 20_000 + b"\n", b"\0" * 50 + b"\n"))
    mutated = bytearray(command + (text if name is CommandName.SEND or not generator.randrange(4) else b""))
    if not generator.randrange(3):
        mutated[generator.randrange(8, COMMAND_BYTES)] = generator.getrandbits(8)
    return bytes(mutated)


def test_malformed_commands_about_node_workers_cost_no_descriptor() -> None:
    generator = random.Random(SEED)
    with DispatcherProcess() as dispatcher, open(os.devnull) as null:
        dispatcher.listen(listener_id=20)
        workers = [CarelessWorker(slot, 1000 + slot) for slot in (3, 7)]
        for worker in workers:
            dispatcher.add_node_worker(worker)
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        kinds = [null.fileno(), left.fileno(), right.fileno(), workers[0].pidfd, dispatcher.listeners[20].fileno()]
        rejected = 0
        for number in range(COMMANDS):
            fds = generator.choices(kinds, k=generator.choice((0, 0, 1, 1, 2, 3, 4, 200)))
            dispatcher.send(random_command(generator, workers), fds)
            if number % 50 == 0:
                rejected += discard_events(dispatcher)
                for worker in workers:
                    worker.answer_everything()
        assert COMMANDS / 10 < rejected < COMMANDS - 500
        # some of them were valid by chance: undo what they did
        for slot in range(20, 40):
            for incarnation in range(3):
                dispatcher.send(encode_remove(slot, incarnation))
        left.close()
        right.close()
        for worker in workers:
            dispatcher.admit(worker)
            dispatcher.serve(worker, 1 << 20)
        discard_events(dispatcher)
        while any(dispatcher.slot(worker)["unanswered"] for worker in workers):
            for worker in workers:
                worker.answer_everything()
            dispatcher.ping()
        dispatcher.connect(listener_id=20, count=4)
        serve_until(workers, 4)
