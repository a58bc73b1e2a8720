"""Owns what connects the supervisor with one Node worker: its IPC channel, the servers that it has open, what it is
still owed. Runs in the supervisor process.

The channel itself is read and written by the dispatcher; we hold our end so that its successor can go on. What the
worker's lines mean is found in conversation.py.
"""

import asyncio
import errno
import os
import socket
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from ...lb.command import ChannelHistory, DispatcherEvent, DrainWord, EventName
from ..actions.call import ActionCall, ActionOutcome
from ..dispatcher.wanted import DispatchedWorker, WorkerKind
from ..errors import FastlbError
from ..processes.reaper import ExitStatus
from ..processes.resource_limits import descriptor_limit
from ..sockets.pair import connection_pair
from ..workers.bounds import worker_bounds
from ..workers.dispatched import DispatchedLink
from ..workers.handle import WorkerHandle
from ..workers.life import LetExit, LifeEvent, LifeEventName, SendShutdown
from ..workers.runtime import Pulse, RuntimeParts, StartedProcess, WorkDone
from .actions import NodeActions
from .broadcast import WorkerMailbox
from .messages import Listening, QueryServer, encode_connection, encode_user_message
from .preload import encode_drain, encode_release
from .servers import Server

SHUTDOWN = "shutdown"
TOO_LONG_LINE = "wrote a line of more than 1 MiB to its IPC channel"
# Answers whose arrival is not certain: what a dispatcher that dies may have taken along.
MOST_UNCONFIRMED = 32
EVENTS_PER_SECOND = 100
# Behind this; the dispatcher numbers connections from 2**32 on.
CHECK_NUMBERS = 1 << 16
STARTUP = 5.0
MOST_EXPLAINED = 4
# Of the IPC channel in the worker, as in a child of Node itself. Node marks what it has inherited close-on-exec
# up to the first gap above 15: with a larger number every program that the app starts would hold the channel.
CHANNEL_FD = 3


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


class Conversation(Protocol):
    """What answers a Node worker."""

    def on_line(self, link: "NodeLink", line: bytes) -> None:
        """Take a whole line that it wrote."""

    def on_closed(self, link: "NodeLink") -> None:
        """Forget a link that is being closed."""


@dataclass(frozen=True)
class NodeChannel:
    """The channel of one process, and its place in the dispatcher's table.

    Attributes:
        slot: in that table.
        ours, worker_end: both ends.
        spare_fd: keeps a place for /proc/PID/fd, which there is only once the process runs.
        duplicate: of the worker's end, by which the dispatcher takes connections back; None: it cannot.
    """

    slot: int
    ours: socket.socket
    worker_end: socket.socket
    spare_fd: int
    duplicate: socket.socket | None


class NodeLink(DispatchedLink):
    """What connects us with one Node process. Owns our end of its channel, and its descriptor table, until `close`.

    Args:
        worker: whose process it is.
        parts: what the runtime works with.
        channel: taken over, but the worker's end.
        started: the process.
        conversation: answers what it writes.

    Attributes:
        probe_after: seconds of silence after which the process is asked for a sign of life; 0: it is taken to live.
        servers: what the process has open, by key.
        baseline: open descriptors that are no connections, once it was admitted.
        admitted_at: monotonic seconds; None: it is not in the policy.
        explanation: why it may fail, as far as we know.
        explanations_left: how many more of its failures to listen are looked into.
        events: how much its app may still have logged.
        mailbox: what other workers send to its app.
        actions: what its app offers, and was asked for.
    """

    def __init__(
        self,
        worker: WorkerHandle,
        parts: RuntimeParts,
        channel: NodeChannel,
        started: StartedProcess,
        conversation: Conversation,
    ) -> None:
        super().__init__(worker, parts, channel.slot, started)
        self.probe_after = 0.0
        self.servers: dict[int, OpenServer] = {}
        self.baseline = 0
        self.admitted_at: float | None = None
        self.explanation = ""
        self.explanations_left = MOST_EXPLAINED
        self.events = EventBudget()
        self._parts = parts
        self._channel = channel.ours
        self._duplicate = channel.duplicate
        self.mailbox = WorkerMailbox(asyncio.get_running_loop(), channel.ours)
        self.actions = NodeActions(self)
        self._descriptors_fd = open_descriptor_table(started.process.pid, channel.spare_fd)
        self._conversation = conversation
        self._checks = 0
        self._unconfirmed: deque[Answer] = deque(maxlen=MOST_UNCONFIRMED)

    def listen(self) -> None:
        """Have the dispatcher read the channel; the process speaks first."""
        workers = self._parts.target_workers()
        bounds = worker_bounds(self._parts.config, self._parts.traits, workers, 0, descriptor_limit())
        self.keeper.wanted.add(
            DispatchedWorker(
                slot=self.slot,
                incarnation=self.started.number,
                bounds=bounds,
                hash_key=self.worker.worker_id,
                fds=self._descriptors(),
                on_event=self.on_event,
                kind=WorkerKind.NODE,
                listeners=0,
                history=ChannelHistory(),
            )
        )

    def admit(self) -> None:
        """Bring the process into the policy: what it has open by now are no connections."""
        if self.admitted_at is None:  # else it has been withdrawn meanwhile, and some are connections
            self.baseline = self.open_descriptors()
            self.admitted_at, self.explanation = time.monotonic(), ""
        self.keeper.wanted.admit(self.slot, self.baseline)

    def drain(self, *, by_itself: bool, quietly: bool) -> None:
        """Take the process out of the policy and tell it to finish.

        That is Node's `disconnect`, after PM2's message if it is wanted. `quietly`: only what is loaded into it is
        told, which ends keep-alive connections and says when none is open.
        """
        self.admitted_at = None
        self._stop_taking_back()
        if not self.keeper.wanted.knows(self.slot):
            return
        if self._parts.config.shutdown_with_message and not by_itself and not quietly:
            self.withdraw()  # behind a message nothing can be taken back
            self.tell_app(SendShutdown())
        word = DrainWord.LATER if quietly else DrainWord.NEVER if by_itself else DrainWord.NOW
        self.keeper.wanted.drain(self.slot, word)
        if quietly:
            self.answer(Answer(encode_drain(self._parts.config.kill_signal)))

    @property
    def unheard_messages(self) -> int:
        """How many messages of its app were not passed on to us, because they were too many in a second."""
        row = self.keeper.counters.of_slot(self.slot)
        return row["messages_dropped"] if row else 0

    @property
    def prefers_message(self) -> bool:
        """Whether the message of `shutdown_with_message` takes the place of a signal."""
        return self._parts.config.shutdown_with_message

    @property
    def listen_timeout(self) -> float:
        """Seconds that the process has to become ready."""
        return self._parts.config.listen_timeout

    def explain(self, status: ExitStatus, error_output: str) -> str:
        """Return why it could not listen, if that is known."""
        return self.explanation

    def end_with_app(self) -> None:
        """Do nothing: it closes idle connections in every drain."""

    def tell_app(self, what: SendShutdown | LetExit) -> None:
        """Send the app PM2's message; or let the process exit, though its IPC channel is open."""
        if self.keeper.wanted.knows(self.slot):
            self.write(encode_release() if isinstance(what, LetExit) else encode_user_message(SHUTDOWN))

    def on_particular_event(self, event: DispatcherEvent) -> None:
        """Take a line that the process wrote, or the end of its channel."""
        match event.name:
            case EventName.WORKER_MESSAGE:
                self._conversation.on_line(self, event.text)
            case EventName.CHANNEL_CLOSED if event.error == 0:
                self.worker.apply(LifeEventName.FINISHED)
            case EventName.CHANNEL_CLOSED if event.error == errno.EMSGSIZE:
                self.worker.apply(LifeEvent(LifeEventName.FAULTED, TOO_LONG_LINE))
            case EventName.CHANNEL_CLOSED:
                reason = f"its IPC channel failed: {os.strerror(event.error)}"
                self.worker.apply(LifeEvent(LifeEventName.FAULTED, reason))

    @property
    def stream_servers(self) -> list[OpenServer]:
        """The open servers that take connections: TCP and unix sockets."""
        return [opened for opened in self.servers.values() if not opened.server.udp]

    @property
    def listening_streams(self) -> list[OpenServer]:
        """The open servers that take connections and are up."""
        return [opened for opened in self.stream_servers if opened.is_listening]

    @property
    def lasting_servers(self) -> dict[int, Server]:
        """By key, those that it opened around its start and still has: what a worker in its place has to open, too."""
        opened_until = (self.admitted_at or 0.0) + STARTUP
        lasting = (one for one in self.listening_streams if (one.listening_since or 0.0) <= opened_until)
        return {opened.server.key: opened.server for opened in lasting}

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
        self.keeper.lines.say(self.slot, answer.line, answer.fds)
        self._unconfirmed.append(answer)

    def write(self, line: bytes) -> None:
        """Write a message of ours; it waits if there is no dispatcher just now."""
        if not self.keeper.lines.say(self.slot, line):
            self._unconfirmed.append(Answer(line))

    @property
    def is_written_to(self) -> bool:
        """Whether its channel is open."""
        return self.keeper.wanted.knows(self.slot)

    async def run_action(self, call: ActionCall) -> ActionOutcome:
        """Have the app do it, or what is loaded before the app."""
        return await self.actions.run(call)

    def confirm(self, server: Server) -> None:
        """Note that the answer about this server has arrived, and so have all that were written before it."""
        if any(answer.server is server for answer in self._unconfirmed):
            while self._unconfirmed.popleft().server is not server:
                pass

    def repeat_answers(self) -> None:
        """Say again what may have been lost; Node ignores an answer that it has already."""
        for answer in self._unconfirmed:
            self.keeper.lines.say(self.slot, answer.line, answer.fds)

    def open_descriptors(self) -> int:
        """Return how many descriptors the process has open; 0 where the kernel does not tell (before Linux 6.2)."""
        return os.fstat(self._descriptors_fd).st_size

    async def connect_for_check(self) -> socket.socket | None:
        """Return our end of a connection that its first server is handed; None: there is no dispatcher to do it.

        Raises:
            FastlbError: it has no server.
            OSError: no descriptors are left.
        """
        if not self.listening_streams:
            raise FastlbError("it listens nowhere any more")
        if not self.keeper.is_attentive or not self.keeper.wanted.knows(self.slot):
            return None
        key = min(opened.server.key for opened in self.listening_streams)
        client, theirs = connection_pair()
        with theirs:
            self._checks += 1
            self.keeper.lines.say(self.slot, encode_connection(key, CHECK_NUMBERS + self._checks), (theirs.fileno(),))
        return client

    is_at_capacity = False

    def work_done(self) -> WorkDone:
        """Return its open connections and those that lie in its channel; nobody counts requests in an app not ours."""
        row = self.keeper.counters.of_slot(self.slot)
        untaken = row["untaken"] if row else 0
        open_now = max(self._descriptors_if_alive() - self.baseline, 0) if self.baseline else 0
        return WorkDone(open_now + untaken, None, 0, untaken=untaken)

    def pulse(self) -> Pulse:
        """Return when it last spoke; when it has been silent for a while it is asked, and has to answer.

        Nothing is held against it while the dispatcher, which listens to it, does not live itself.
        """
        now_ns = time.monotonic_ns()
        row = self.keeper.counters.of_slot(self.slot)
        if not self.probe_after or self.actions.is_silent or not self.keeper.is_attentive or row is None:
            return Pulse(now_ns, 0)
        if now_ns - row["heard_at_ns"] < self.probe_after * 1e9:
            return Pulse(now_ns, 0)
        self.keeper.lines.probe(self.slot)
        return Pulse(row["heard_at_ns"], 0)

    def take_last_words(self) -> None:
        """Do nothing: the dispatcher reads the channel to its end, and its events come in their time."""

    def close(self) -> None:
        """Forget the process, which must have been reaped, and close what we hold of it."""
        self.leave_dispatcher()
        self._conversation.on_closed(self)
        self.mailbox.close()
        self.actions.close()
        self._stop_taking_back()
        self._channel.close()
        os.close(self._descriptors_fd)

    def _descriptors(self) -> tuple[int, ...]:
        own = (self._channel.fileno(), self._descriptors_fd, self.started.process.pidfd)
        return own if self._duplicate is None else (*own, self._duplicate.fileno())

    def _stop_taking_back(self) -> None:
        """Close the duplicate, as the dispatcher does: while it is open nobody sees the worker close its channel."""
        if self._duplicate is not None:
            self._duplicate.close()
            self._duplicate = None

    def _descriptors_if_alive(self) -> int:
        try:
            return self.open_descriptors()
        except OSError:
            return 0


def open_descriptor_table(pid: int, spare_fd: int) -> int:
    """Return /proc/PID/fd of our child, to be owned by the caller; `spare_fd` if there is none, else that is closed."""
    try:
        descriptors_fd = os.open(f"/proc/{pid}/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return spare_fd
    os.close(spare_fd)
    return descriptors_fd
