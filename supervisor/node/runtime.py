"""Owns how workers are started that are unmodified Node apps, in the way of Node's own cluster.

Runs in the supervisor process.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from ..processes.attributes import ProcessAttributes
from ..processes.environment import worker_environment
from ..processes.working_directory import enter_directory
from ..workers.handle import WorkerHandle
from ..workers.runtime import RuntimeParts, StartedProcess
from .conversation import NodeConversation
from .link import CHANNEL_FD, NodeChannel, NodeLink
from .listen_requests import ListenRequests
from .servers import NodeListeners
from .target.command import NodeCommand, node_command

PROBES_PER_TIMEOUT = 5


class NodeRuntime:
    """Starts the Node workers of an app."""

    def __init__(self, parts: RuntimeParts) -> None:
        keeper = parts.keeper
        self._parts = parts
        self._commands: dict[int, NodeCommand] = {}  # by generation
        self._links: dict[int, NodeLink] = {}  # by slot
        self._listeners = NodeListeners(
            parts.listeners, keeper.wanted.add_listener, keeper.wanted.remove_listener, parts.config.backlog
        )
        requests = ListenRequests(parts, self._listeners, self._links)
        self._conversation = NodeConversation(parts, requests, self._links)
        keeper.on_replaced = self._repeat_answers

    @property
    def other_addresses(self) -> list[str]:
        """Addresses of UDP servers: their socket is the workers' own."""
        return self._listeners.udp_addresses

    @property
    def messages(self) -> dict[str, int]:
        """What became of messages between workers."""
        return self._conversation.messages

    async def prepare_generation(self, generation: int) -> None:
        """Find out how this generation's workers are started.

        Raises:
            FastlbError: they cannot be.
        """
        parts = self._parts.of(generation)
        enter_directory(parts.config.cwd)
        self._commands[generation] = await asyncio.to_thread(node_command, parts.config, parts.environment.variables)

    def prepare_start(
        self, worker: WorkerHandle, number: int, ours: ExitStack, theirs: ExitStack
    ) -> "NodeStart":
        """Open the channel of a process, in the way of child_process.fork().

        Raises:
            OSError: no descriptors or no memory are left.
            SpawnError: the dispatcher's table is full.
        """
        parts = self._parts.of(worker.generation)
        env = worker_environment(parts.config, worker.worker_id, parts.environment)
        env |= {
            "FASTLB_WORKER_ID": str(worker.worker_id),
            "NODE_CHANNEL_FD": str(CHANNEL_FD),
            "NODE_CHANNEL_SERIALIZATION_MODE": "json",
            "NODE_UNIQUE_ID": str(number),
        }
        command = self._commands[worker.generation]
        inspect_port = command.port_for_worker(worker.worker_id, is_free_port)
        if inspect_port:
            self._parts.log.info("inspector_port", worker_id=worker.worker_id, port=inspect_port)
        # Who is stopped by a debugger does not hang.
        answers_probes = command.answers_probes and inspect_port is None
        # A connection is taken back only from who can be asked then, and if nobody but the dispatcher writes there.
        takes_back = answers_probes and not parts.config.broadcast
        channel = self._open_channel(ours, theirs, takes_back=takes_back)
        return NodeStart(self, worker, channel, command.for_worker(inspect_port), env, answers_probes)

    def connect(self, start: "NodeStart", started: StartedProcess) -> NodeLink:
        """Take over our end of a process's channel, and have the dispatcher read it."""
        parts = self._parts.of(start.worker.generation)
        link = NodeLink(start.worker, parts, start.channel, started, self._conversation)
        link.probe_after = parts.config.hang_timeout / PROBES_PER_TIMEOUT if start.answers_probes else 0.0
        self._links[link.slot] = link
        link.listen()
        return link

    def keep_only(self, generations: set[int]) -> None:
        """Close listeners that only other generations have asked for."""
        self._listeners.keep_only(generations)
        oldest = min(generations, default=0)  # the next generation may be prepared and have no worker yet
        self._commands = {number: command for number, command in self._commands.items() if number >= oldest}

    def close(self) -> None:
        """Close all listeners: from now on clients are refused."""
        self._listeners.close()

    def _open_channel(self, ours: ExitStack, theirs: ExitStack, *, takes_back: bool) -> NodeChannel:
        slots = self._parts.keeper.slots
        slot = slots.take()
        ours.callback(slots.give_back, slot)
        channel, worker_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.enter_context(channel)
        theirs.enter_context(worker_end)
        channel.setblocking(False)
        spare_fd = os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
        ours.callback(os.close, spare_fd)
        duplicate = ours.enter_context(worker_end.dup()) if takes_back else None
        return NodeChannel(slot, channel, worker_end, spare_fd, duplicate)

    def _repeat_answers(self) -> None:
        for link in self._links.values():
            if self._parts.keeper.wanted.knows(link.slot):
                link.repeat_answers()


@dataclass(frozen=True)
class NodeStart:
    """A process that is about to be.

    Attributes:
        runtime: connects it.
        worker: whose process it is.
        channel: its IPC channel.
        command: program and arguments.
        env: its whole environment.
        answers_probes: it answers the question for a sign of life; Deno does not, nor who is stopped by a debugger.
    """

    runtime: NodeRuntime
    worker: WorkerHandle
    channel: NodeChannel
    command: list[str]
    env: Mapping[str, str]
    answers_probes: bool

    @property
    def pass_fds(self) -> Mapping[int, int]:
        """Borrowed descriptors that the process inherits, by the number that each has there."""
        return {CHANNEL_FD: self.channel.worker_end.fileno()}

    def attributes(self, wanted: ProcessAttributes) -> ProcessAttributes:
        """Nothing more than is wanted."""
        return wanted

    def connect(self, started: StartedProcess) -> NodeLink:
        """Take over our end, and have the dispatcher read it."""
        return self.runtime.connect(self, started)


def is_free_port(port: int) -> bool:
    """Whether nobody of this machine listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
