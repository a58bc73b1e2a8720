"""Owns random commands to a dispatcher: well-formed, of any kind, with any numbers in their fields. No I/O."""

import random
from collections.abc import Callable

from fastlb.lb.command import (
    ChannelHistory,
    CommandName,
    NewWorker,
    WorkerBounds,
    encode_add_listener,
    encode_add_node_worker,
    encode_add_worker,
    encode_admit,
    encode_configure,
    encode_drain,
    encode_expect_opening,
    encode_pause,
    encode_ping,
    encode_probe,
    encode_quit,
    encode_remove,
    encode_remove_listener,
    encode_resume,
    encode_send,
    encode_serve,
    encode_set_policy,
    encode_withdraw,
)


class RandomCommand:
    """Encodes commands about one number of a slot (or listener) and one of an incarnation (or token, or epoch)."""

    def __init__(self, generator: random.Random, slot: int, incarnation: int) -> None:
        self._generator = generator
        self._slot = slot
        self._incarnation = incarnation
        self._encoders: dict[CommandName, Callable[[], bytes]] = {
            CommandName.CONFIGURE: lambda: encode_configure(incarnation, self._bits(32), self._bits(64) - 2**63),
            CommandName.ADD_LISTENER: lambda: encode_add_listener(slot, self._bits(32)),
            CommandName.REMOVE_LISTENER: lambda: encode_remove_listener(slot),
            CommandName.ADD_WORKER: lambda: encode_add_worker(self._worker()),
            CommandName.ADD_NODE_WORKER: self._add_node_worker,
            CommandName.ADMIT: lambda: encode_admit(slot, incarnation, self._bits(32)),
            CommandName.DRAIN: lambda: encode_drain(slot, incarnation, self._bits(2)),
            CommandName.REMOVE: lambda: encode_remove(slot, incarnation),
            CommandName.PAUSE: encode_pause,
            CommandName.RESUME: encode_resume,
            CommandName.SET_POLICY: lambda: encode_set_policy(self._bits(32)),
            CommandName.PING: lambda: encode_ping(incarnation),
            CommandName.QUIT: encode_quit,
            CommandName.SEND: lambda: encode_send(slot, incarnation, b"text\n"),
            CommandName.SERVE: lambda: encode_serve(slot, incarnation, self._bits(64)),
            CommandName.PROBE: lambda: encode_probe(slot, incarnation),
            CommandName.WITHDRAW: lambda: encode_withdraw(slot, incarnation),
            CommandName.EXPECT_OPENING: self._expect_opening,
        }

    def encode(self, name: CommandName) -> bytes:
        """Return a command of this kind; every kind has one."""
        return self._encoders[name]()

    def _bits(self, count: int) -> int:
        return self._generator.getrandbits(count)

    def _worker(self) -> NewWorker:
        bounds = WorkerBounds(*(self._generator.choice((0, 1, 2**32 - 1)) for _ in range(3)))
        return NewWorker(self._slot, self._incarnation, bounds, self._bits(32))

    def _expect_opening(self) -> bytes:
        networks = [(self._generator.randbytes(16), self._generator.randrange(129)) for _ in range(self._bits(3))]
        return encode_expect_opening(self._bits(64) - 2**63, networks, bool(self._bits(1)))

    def _add_node_worker(self) -> bytes:
        history = ChannelHistory(self._bits(32), self._bits(32))
        return encode_add_node_worker(self._worker(), self._bits(64), history)
