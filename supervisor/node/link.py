"""Owns what connects the supervisor with one Node worker: its IPC channel, the servers that it has open, what it is
still owed. Runs in the supervisor process.

The channel itself is read and written by the dispatcher; we hold our end so that its successor can go on. It
decides nothing.
"""

import os
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..dispatcher.keeper import DispatcherKeeper
from ..workers.runtime import Place, Pulse, WorkerCounters
from .messages import Listening, QueryServer
from .servers import Server

# Answers whose arrival is not certain: what a dispatcher that dies may have taken along.
MOST_UNCONFIRMED = 32
EVENTS_PER_SECOND = 100
STARTUP = 5.0
MOST_EXPLAINED = 4


@dataclass(frozen=True)
class NodeOpening:
    """The channel of a process that is about to be, and how it is started.

    `spare_fd` keeps a place for /proc/PID/fd, which there is only once the process runs. `answers_probes`: the
    runtime answers the question for a sign of life; Deno does not.
    """

    channel: socket.socket
    worker_channel: socket.socket
    spare_fd: int
    command: list[str]
    env: Mapping[str, str]
    answers_probes: bool

    @property
    def pass_fds(self) -> tuple[int, ...]:
        """Borrowed descriptors that it inherits."""
        return (self.worker_channel.fileno(),)


@dataclass
class OpenServer:
    """A server that a worker has, or is about to have."""

    server: Server
    query: QueryServer
    listening_since: float | None = None

    @property
    def is_listening(self) -> bool:
        """Whether it is up; `listening_since` says when, in monotonic seconds."""
        return self.listening_since is not None

    def is_meant_by(self, message: Listening) -> bool:
        """Whether this is the server that has come up; of its port it says what it was told."""
        asked = self.query
        name = self.server.name
        port = name.port if name else asked.port
        return (asked.address, asked.address_type, asked.fd, asked.index) == (
            message.address,
            message.address_type,
            message.fd,
            message.index,
        ) and message.port in (asked.port, port)


@dataclass(frozen=True)
class Answer:
    """A line that was written to a worker, and the server that it is about: a UDP socket goes along."""

    line: bytes
    server: Server | None = None

    @property
    def fds(self) -> tuple[int, ...]:
        """Borrowed."""
        return (self.server.udp.fileno(),) if self.server and self.server.udp else ()


@dataclass
class EventBudget:
    """How many events of a worker's app are still logged in this second."""

    second: int = 0
    count: int = 0

    def allows(self) -> bool:
        """Count one event."""
        second = int(time.monotonic())
        if second != self.second:
            self.second, self.count = second, 0
        self.count += 1
        return self.count <= EVENTS_PER_SECOND


@dataclass
class NodeLink:
    """Owns `channel` and `descriptors_fd` until `close`.

    Attributes:
        worker_id: of the worker.
        place: where it stands.
        channel: our end of its IPC channel.
        descriptors_fd: /proc/PID/fd of the process, or something that has no size.
        keeper: borrowed.
        probe_after: seconds of silence after which it is asked for a sign of life; 0: it is taken to live.
        servers: what it has open, by key.
        baseline: open descriptors that are no connections, once it was admitted.
        admitted_at: monotonic seconds; None: it is not in the policy.
        explanation: why it may fail, as far as we know.
        explanations_left: how many more of its failures to listen are looked into.
    """

    worker_id: int
    place: Place
    channel: socket.socket
    descriptors_fd: int
    keeper: DispatcherKeeper
    probe_after: float
    servers: dict[int, OpenServer] = field(default_factory=dict)
    baseline: int = 0
    admitted_at: float | None = None
    explanation: str = ""
    explanations_left: int = MOST_EXPLAINED
    events: EventBudget = field(default_factory=EventBudget)
    _unconfirmed: deque[Answer] = field(default_factory=lambda: deque(maxlen=MOST_UNCONFIRMED))

    @property
    def dispatcher_fds(self) -> tuple[int, int, int]:
        """Borrowed, in the order of ADD_WORKER."""
        return self.channel.fileno(), self.descriptors_fd, self.place.process.pidfd

    @property
    def stream_servers(self) -> list[OpenServer]:
        """Those that take connections: TCP and unix sockets."""
        return [opened for opened in self.servers.values() if not opened.server.udp]

    @property
    def listening_streams(self) -> list[OpenServer]:
        """Of these, the ones that are up."""
        return [opened for opened in self.stream_servers if opened.is_listening]

    @property
    def lasting_streams(self) -> int:
        """How many it opened around its start and still has: what a worker in its place has to open, too."""
        opened_until = (self.admitted_at or 0.0) + STARTUP
        return sum((opened.listening_since or 0.0) <= opened_until for opened in self.listening_streams)

    @property
    def mask(self) -> int:
        """The listeners whose connections it may get."""
        masks = [opened.server.mask for opened in self.servers.values() if opened.is_listening]
        return sum(set(masks))

    def answer(self, answer: Answer) -> None:
        """Write an answer, and remember it until it is known to have arrived.

        Raises:
            ValueError: the worker made it too long.
        """
        self.keeper.lines.say(self.place.slot, answer.line, answer.fds)
        self._unconfirmed.append(answer)

    def tell(self, line: bytes) -> None:
        """Write a message of ours; it waits if there is no dispatcher just now."""
        if not self.keeper.lines.say(self.place.slot, line):
            self._unconfirmed.append(Answer(line))

    def confirm(self, server: Server) -> None:
        """The answer about this server has arrived, and so have all that were written before it."""
        if any(answer.server is server for answer in self._unconfirmed):
            while self._unconfirmed.popleft().server is not server:
                pass

    def repeat_answers(self) -> None:
        """Say again what may have been lost; Node ignores an answer that it has already."""
        for answer in self._unconfirmed:
            self.keeper.lines.say(self.place.slot, answer.line, answer.fds)

    def open_descriptors(self) -> int:
        """How many descriptors the process has open; 0 where the kernel does not tell (before Linux 6.2)."""
        return os.fstat(self.descriptors_fd).st_size

    def counters(self) -> WorkerCounters:
        """Its open connections and those that lie in its channel; nobody counts requests in an app that is not ours."""
        row = self.keeper.counters.of_slot(self.place.slot)
        untaken = row["untaken"] if row else 0
        open_now = max(self._descriptors_if_alive() - self.baseline, 0) if self.baseline else 0
        return WorkerCounters(open_now + untaken, None, 0)

    def pulse(self) -> Pulse:
        """It lives as long as it speaks; when it has been silent for a while it is asked, and has to answer.

        Nothing is held against it while the dispatcher, which listens to it, does not live itself.
        """
        now_ns = time.monotonic_ns()
        row = self.keeper.counters.of_slot(self.place.slot)
        if not self.probe_after or not self.keeper.is_attentive or row is None:
            return Pulse(now_ns, 0)
        if now_ns - row["heard_at_ns"] < self.probe_after * 1e9:
            return Pulse(now_ns, 0)
        self.keeper.lines.probe(self.place.slot)
        return Pulse(row["heard_at_ns"], 0)

    def take_last_words(self) -> None:
        """The dispatcher reads the channel to its end; its events come in their time."""

    def close(self) -> None:
        """Close what we hold; the process must have been reaped."""
        self.channel.close()
        os.close(self.descriptors_fd)

    def _descriptors_if_alive(self) -> int:
        try:
            return self.open_descriptors()
        except OSError:
            return 0
