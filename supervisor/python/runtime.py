"""Owns the workers that run our own worker runtime (worker/): how they start, what connects us with them.

Runs in the supervisor process. Both ends of the connection channel are held as well as lent to the dispatcher: so
a dispatcher that dies takes no connection with it that a worker has not taken yet.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import cast

from ...lb.command import DispatcherEvent, EventName
from ...lb.page import WorkerPageView, create_worker_page
from ...worker.wire import ListenerInfo, Serving, StartupFailed, WorkerConfig
from ..dispatcher.keeper import DispatcherKeeper
from ..dispatcher.wanted import DispatchedWorker
from ..processes.environment import instance_environment
from ..processes.resource_limits import descriptor_limit
from ..settings.app_config import AppConfig
from ..workers.bounds import worker_bounds
from ..workers.handle import WorkerHandle
from ..workers.incarnation import Incarnation
from ..workers.life import LifeEvent, LifeEventName
from ..workers.runtime import Opening, Place, Pulse, WorkerCounters
from .channel import ChannelClosed, ReadySaid, WorkerChannel, WorkerMessage

_FROM_CONFIG = sorted(set(WorkerConfig.__struct_fields__) & set(AppConfig.__struct_fields__))


@dataclass(frozen=True)
class PythonOpening:
    """All channels of a process that is about to be: ours, and its own (`worker_...`).

    `worker_end` is both: it inherits one, and we keep it to take connections back.
    """

    lifecycle: socket.socket
    worker_lifecycle: socket.socket
    dispatcher_end: socket.socket
    worker_end: socket.socket
    page_fd: int
    wakeup_fd: int
    env: Mapping[str, str]

    @property
    def command(self) -> list[str]:
        """Program and arguments."""
        # -P: a file of the app must not shadow a module of ours.
        return [sys.executable, "-P", "-m", "fastlb.worker", str(self.worker_lifecycle.fileno())]

    @property
    def pass_fds(self) -> tuple[int, ...]:
        """Borrowed descriptors that it inherits."""
        return self.worker_lifecycle.fileno(), self.worker_end.fileno(), self.page_fd, self.wakeup_fd


class PythonLink:
    """What connects us with one such process. Owns everything in it until `close`.

    Attributes:
        lifecycle: our end of the lifecycle channel.
        dispatcher_end: where connections are put in.
        worker_end: a duplicate of where the worker takes them out.
        page: its status page.
        capacity: most busy connections, by its own report; 0: unbounded.
        place: where it stands.
    """

    def __init__(
        self, lifecycle: WorkerChannel, opening: PythonOpening, place: Place, keeper: DispatcherKeeper
    ) -> None:
        self.lifecycle = lifecycle
        self.dispatcher_end = opening.dispatcher_end
        self.worker_end = opening.worker_end
        self.page = WorkerPageView(opening.page_fd)
        self.capacity = 0
        self.place = place
        self._page_fd = opening.page_fd
        self._keeper = keeper

    @property
    def explanation(self) -> str:
        """It says for itself what fails."""
        return ""

    @property
    def dispatcher_fds(self) -> tuple[int, int, int, int]:
        """Borrowed, in the order of ADD_WORKER."""
        pidfd = self.place.process.pidfd
        return self.dispatcher_end.fileno(), self.worker_end.fileno(), pidfd, self._page_fd

    def counters(self) -> WorkerCounters:
        """From its page; connections that lie in its channel count as well."""
        page = self.page.read()
        untaken = self._keeper.counters.untaken(self.place.slot, page["position"])
        return WorkerCounters(page["open"] + untaken, page["requests"], page["errors"])

    def pulse(self) -> Pulse:
        """From its page."""
        page = self.page.read()
        return Pulse(page["heartbeat_ns"], page["oldest_request_ns"])

    def take_last_words(self) -> None:
        """Read what a process that has exited left behind."""
        self.lifecycle.take_last_words()

    def end_connections(self) -> None:
        """Tell the worker itself that no more connections come; for when no dispatcher does."""
        try:
            self.dispatcher_end.shutdown(socket.SHUT_WR)
        except OSError:
            return  # its other end is closed: it knows

    def close(self) -> None:
        """Close what we hold; the process must have been reaped."""
        self.lifecycle.close()
        self.dispatcher_end.close()
        self.worker_end.close()
        os.close(self._page_fd)


class PythonRuntime:
    """Starts and leads workers of our own.

    Args:
        config: the settings.
        keeper: borrowed.
        listeners: what the workers are told about the app's listeners.
    """

    finishes_through_dispatcher = False

    def __init__(self, config: AppConfig, keeper: DispatcherKeeper, listeners: tuple[ListenerInfo, ...]) -> None:
        self._config = config
        self._keeper = keeper
        self._listeners = listeners
        self._loop = asyncio.get_running_loop()

    @property
    def other_addresses(self) -> list[str]:
        """None."""
        return []

    async def prepare(self, generation: int) -> None:
        """Nothing: every worker finds out by itself what it runs."""

    def open(self, worker: WorkerHandle, number: int, ours: ExitStack, theirs: ExitStack) -> PythonOpening:
        """Open all channels of a process; each stack closes its ends.

        Raises:
            OSError: no descriptors or no memory are left.
        """
        env = instance_environment(self._config, worker.worker_id, os.environ)
        lifecycle, worker_lifecycle = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.enter_context(lifecycle)
        theirs.enter_context(worker_lifecycle)
        dispatcher_end, worker_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.enter_context(dispatcher_end)
        ours.enter_context(worker_end)
        lifecycle.setblocking(False)
        dispatcher_end.setblocking(False)
        page_fd = create_worker_page()
        ours.callback(os.close, page_fd)
        ends = (lifecycle, worker_lifecycle, dispatcher_end, worker_end, page_fd)
        return PythonOpening(*ends, self._keeper.wakeup_fd, env | {"FASTLB_WORKER_ID": str(worker.worker_id)})

    def connect(self, worker: WorkerHandle, opening: Opening, place: Place) -> PythonLink:
        """Take over our ends, and send the worker its settings."""
        opening = cast(PythonOpening, opening)
        on_message = partial(self._on_message, worker, place.number)
        channel = WorkerChannel(self._loop, opening.lifecycle, on_message)
        channel.send_config(self._worker_config(worker, opening))
        return PythonLink(channel, opening, place, self._keeper)

    def admit(self, worker: WorkerHandle, incarnation: Incarnation) -> None:
        """Bring it into the dispatcher's policy."""
        link = _link(incarnation)
        bounds = worker_bounds(self._config, link.place.workers, link.capacity, descriptor_limit())
        self._keeper.wanted.add(
            DispatchedWorker(
                slot=incarnation.slot,
                incarnation=incarnation.number,
                bounds=bounds,
                hash_key=worker.worker_id,
                fds=link.dispatcher_fds,
            )
        )
        self._keeper.wanted.admit(incarnation.slot)

    def drain(self, incarnation: Incarnation, *, by_itself: bool) -> None:
        """Take it out of the policy and let it read the end of its channel."""
        if self._keeper.wanted.knows(incarnation.slot):
            self._keeper.wanted.drain(incarnation.slot)
        else:
            _link(incarnation).end_connections()

    def forget(self, incarnation: Incarnation) -> None:
        """Nothing is kept of it here."""

    def on_event(self, worker: WorkerHandle, incarnation: Incarnation, event: DispatcherEvent) -> None:
        """A worker of ours closes its connection channel only when something is wrong, or at its end."""
        if event.name is EventName.CHANNEL_CLOSED:
            worker.apply(LifeEvent(LifeEventName.CHANNEL_CLOSED, "closed its connection channel"))

    def keep_only(self, generations: set[int]) -> None:
        """Nothing here belongs to a generation."""

    def close(self) -> None:
        """The listeners are the app's: whoever bound them closes them."""

    def _worker_config(self, worker: WorkerHandle, opening: PythonOpening) -> WorkerConfig:
        return WorkerConfig(
            **{name: getattr(self._config, name) for name in _FROM_CONFIG},
            worker_id=worker.worker_id,
            generation=worker.generation,
            channel_fd=opening.worker_end.fileno(),
            page_fd=opening.page_fd,
            wakeup_fd=opening.wakeup_fd,
            listeners=self._listeners,
        )

    def _on_message(self, worker: WorkerHandle, number: int, message: WorkerMessage) -> None:
        incarnation = worker.incarnation
        if incarnation is None or incarnation.number != number:
            return
        match message:
            case Serving():
                _link(incarnation).capacity = message.capacity
                worker.apply(LifeEventName.SERVING)
            case ReadySaid():
                worker.apply(LifeEventName.READY_SAID)
            case StartupFailed(reason, details, is_usage):
                worker.apply(LifeEvent(LifeEventName.STARTUP_FAILED, reason, details, is_usage))
            case ChannelClosed(reason):
                worker.apply(LifeEvent(LifeEventName.CHANNEL_CLOSED, reason))


def _link(incarnation: Incarnation) -> PythonLink:
    return cast(PythonLink, incarnation.link)
