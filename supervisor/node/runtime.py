"""Owns the workers that are unmodified Node apps: how they start, what they ask, how they are told to finish.

Runs in the supervisor process. To such a worker we are the primary of Node's cluster. Its connections are the
dispatcher's business; everything else that it says comes here, is a claim, and harms nobody but itself.
"""

import asyncio
import errno
import os
import socket
import time
from contextlib import ExitStack
from typing import Any, cast

from ...lb.command import ChannelHistory, DispatcherEvent, EventName
from ..dispatcher.keeper import DispatcherKeeper
from ..dispatcher.wanted import DispatchedWorker, WorkerKind
from ..output.event_log import EventLog
from ..processes.environment import instance_environment
from ..processes.resource_limits import descriptor_limit
from ..processes.working_directory import enter_directory
from ..settings.app_config import AppConfig
from ..workers.bounds import worker_bounds
from ..workers.handle import WorkerHandle
from ..workers.incarnation import Incarnation
from ..workers.life import LifeEvent, LifeEventName, State
from ..workers.runtime import Opening, Place
from .link import Answer, NodeLink, NodeOpening
from .listen_requests import ListenRequests
from .messages import (
    Close,
    ExitedAfterDisconnect,
    HandleSent,
    Listening,
    QueryServer,
    SocketQuestion,
    UserMessage,
    decode_line,
    encode_acknowledgement,
    encode_no_sockets,
    encode_user_message,
)
from .servers import NodeListeners
from .target.command import NodeCommand, node_command

READY, SHUTDOWN = "ready", "shutdown"
MOST_LOGGED = 2048
PROBES_PER_TIMEOUT = 5
FINISHING = (State.DRAINING, State.STOPPING)
TOO_LONG_LINE = "wrote a line of more than 1 MiB to its IPC channel"


class NodeRuntime:
    """Starts and leads the Node workers of an app.

    Args:
        config: the settings.
        keeper, listeners, log: borrowed.
    """

    finishes_through_dispatcher = True

    def __init__(
        self, config: AppConfig, keeper: DispatcherKeeper, listeners: NodeListeners, log: EventLog
    ) -> None:
        self._config = config
        self._keeper = keeper
        self._listeners = listeners
        self._log = log
        self._commands: dict[int, NodeCommand] = {}  # by generation
        self._links: dict[int, NodeLink] = {}  # by slot
        self._requests = ListenRequests(config, keeper, listeners, log, self._links)
        keeper.on_replaced = self._repeat_answers

    @property
    def other_addresses(self) -> list[str]:
        """UDP servers: their socket is the workers' own."""
        return self._listeners.udp_addresses

    async def prepare(self, generation: int) -> None:
        """Find out how this generation's workers are started.

        Raises:
            FastlbError: they cannot be.
        """
        enter_directory(self._config.cwd)
        self._commands[generation] = await asyncio.to_thread(node_command, self._config)

    def open(self, worker: WorkerHandle, number: int, ours: ExitStack, theirs: ExitStack) -> NodeOpening:
        """Open the channel of a process, in the way of child_process.fork().

        Raises:
            OSError: no descriptors or no memory are left.
        """
        env = instance_environment(self._config, worker.worker_id, os.environ)
        channel, worker_channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.enter_context(channel)
        theirs.enter_context(worker_channel)
        channel.setblocking(False)
        spare_fd = os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
        ours.callback(os.close, spare_fd)
        env |= {
            "FASTLB_WORKER_ID": str(worker.worker_id),
            "NODE_CHANNEL_FD": str(worker_channel.fileno()),
            "NODE_CHANNEL_SERIALIZATION_MODE": "json",
            "NODE_UNIQUE_ID": str(number),
        }
        command = self._commands[worker.generation]
        argv = command.for_worker(worker.worker_id)
        return NodeOpening(channel, worker_channel, spare_fd, argv, env, command.answers_probes)

    def connect(self, worker: WorkerHandle, opening: Opening, place: Place) -> NodeLink:
        """Take over our end, and have the dispatcher listen to it. The worker speaks first."""
        opening = cast(NodeOpening, opening)
        descriptors_fd = open_descriptor_table(place.process.pid, opening.spare_fd)
        probe_after = self._config.hang_timeout / PROBES_PER_TIMEOUT if opening.answers_probes else 0.0
        link = NodeLink(worker.worker_id, place, opening.channel, descriptors_fd, self._keeper, probe_after)
        self._links[place.slot] = link
        self._keeper.wanted.add(
            DispatchedWorker(
                slot=place.slot,
                incarnation=place.number,
                bounds=worker_bounds(self._config, place.workers, 0, descriptor_limit()),
                hash_key=worker.worker_id,
                fds=link.dispatcher_fds,
                kind=WorkerKind.NODE,
                listeners=0,
                history=ChannelHistory(),
            )
        )
        return link

    def admit(self, worker: WorkerHandle, incarnation: Incarnation) -> None:
        """Bring it into the policy: what it has open by now are no connections."""
        link = _link(incarnation)
        link.baseline = link.open_descriptors()
        link.admitted_at, link.explanation = time.monotonic(), ""
        self._keeper.wanted.admit(incarnation.slot, link.baseline)

    def drain(self, incarnation: Incarnation, *, by_itself: bool) -> None:
        """Take it out of the policy and tell it to finish: Node's `disconnect`, after PM2's message if wanted."""
        _link(incarnation).admitted_at = None
        if not self._keeper.wanted.knows(incarnation.slot):
            return
        if self._config.shutdown_with_message and not by_itself:
            _link(incarnation).tell(encode_user_message(SHUTDOWN))
        self._keeper.wanted.drain(incarnation.slot, leaves_by_itself=by_itself)

    def forget(self, incarnation: Incarnation) -> None:
        """Its process is gone."""
        self._links.pop(incarnation.slot, None)

    def keep_only(self, generations: set[int]) -> None:
        """Close listeners that only other generations have asked for."""
        self._listeners.keep_only(generations)
        oldest = min(generations, default=0)  # the next generation may be prepared and have no worker yet
        self._commands = {number: command for number, command in self._commands.items() if number >= oldest}

    def close(self) -> None:
        """Close all listeners: from now on clients are refused."""
        self._listeners.close()

    def on_event(self, worker: WorkerHandle, incarnation: Incarnation, event: DispatcherEvent) -> None:
        """What the dispatcher says of a worker: what it wrote, or that its channel is over."""
        match event.name:
            case EventName.WORKER_MESSAGE:
                self._on_line(worker, _link(incarnation), event.text)
            case EventName.CHANNEL_CLOSED if event.error == 0:
                worker.apply(LifeEventName.FINISHED)
            case EventName.CHANNEL_CLOSED if event.error == errno.EMSGSIZE:
                worker.apply(LifeEvent(LifeEventName.FAULTED, TOO_LONG_LINE))
            case EventName.CHANNEL_CLOSED:
                worker.apply(LifeEvent(LifeEventName.FAULTED, f"its IPC channel failed: {os.strerror(event.error)}"))

    def _on_line(self, worker: WorkerHandle, link: NodeLink, line: bytes) -> None:
        message = decode_line(line)
        match message:
            case QueryServer():
                self._requests.on_query(worker, link, message)
            case Listening():
                self._requests.on_listening(worker, link, message)
            case Close(key):
                self._requests.on_close(worker, link, key)
            case ExitedAfterDisconnect(seq):
                reason = "left by its own wish: cluster.worker.disconnect()"
                worker.apply(LifeEvent(LifeEventName.LEFT, reason))
                self._requests.answer(worker, link, Answer(encode_acknowledgement(seq)))
            case HandleSent():
                self._log_event(worker, link, "handle_refused", "the app sent a socket, which nobody takes")
            case SocketQuestion():
                self._requests.answer(worker, link, Answer(encode_no_sockets(message)))
            case UserMessage(value):
                self._on_user_message(worker, link, value)

    def _on_user_message(self, worker: WorkerHandle, link: NodeLink, value: Any) -> None:
        if value == READY:
            worker.apply(LifeEventName.READY_SAID)
        elif isinstance(value, dict) and value.get("type") == "process:msg":
            data = encode_user_message(value.get("data"))[:MOST_LOGGED].decode(errors="replace").rstrip("\n")
            self._log_event(worker, link, "process_msg", data)

    def _log_event(self, worker: WorkerHandle, link: NodeLink, event: str, text: str) -> None:
        """An app that says much fills no disk."""
        if link.events.allows():
            self._log.info(event, worker_id=worker.worker_id, data=text)

    def _repeat_answers(self) -> None:
        for link in self._links.values():
            if self._keeper.wanted.knows(link.place.slot):
                link.repeat_answers()


def open_descriptor_table(pid: int, spare_fd: int) -> int:
    """/proc/PID/fd of our child, to be owned by the caller; `spare_fd` if there is none, else that is closed."""
    try:
        descriptors_fd = os.open(f"/proc/{pid}/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return spare_fd
    os.close(spare_fd)
    return descriptors_fd


def _link(incarnation: Incarnation) -> NodeLink:
    return cast(NodeLink, incarnation.link)
