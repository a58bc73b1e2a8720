"""Owns how workers are started that run our own worker runtime (worker/). Runs in the supervisor process."""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from ...lb.page import create_worker_page
from ...worker.wire import WIRE_VERSION, WorkerConfig
from ..processes.attributes import ProcessAttributes
from ..processes.environment import worker_environment
from ..processes.working_directory import enter_directory
from ..settings.app_config import AppConfig
from ..workers.handle import WorkerHandle
from ..workers.runtime import RuntimeParts, StartedProcess
from .exit_news import ExitNews
from .interpreter import python_command
from .link import PythonChannels, PythonLink

_FROM_CONFIG = sorted(set(WorkerConfig.__struct_fields__) & set(AppConfig.__struct_fields__))


@dataclass(frozen=True)
class PythonStart:
    """A process that is about to be.

    `parts` and `exit_news` as in the runtime. `python`: what runs it, and its options.
    """

    worker: WorkerHandle
    parts: RuntimeParts
    channels: PythonChannels
    env: Mapping[str, str]
    python: Sequence[str]
    exit_news: ExitNews

    @property
    def command(self) -> list[str]:
        """Program and arguments."""
        # -P: a file of the app must not shadow a module of ours. -X: for those who read `ps`; Python leaves it alone.
        title = ("-X", f"app={self.parts.config.name}", "-X", f"worker={self.worker.worker_id}")
        return [*self.python, "-P", *title, "-m", "fastlb.worker", str(self.channels.worker_lifecycle.fileno())]

    @property
    def pass_fds(self) -> Mapping[int, int]:
        """Borrowed descriptors that the process inherits, under the numbers that they have here."""
        channels = self.channels
        ends = channels.worker_lifecycle.fileno(), channels.worker_end.fileno()
        fds = (*ends, channels.page_fd, channels.worker_lifeline_fd, channels.wakeup_fd)
        return {fd: fd for fd in fds}

    def attributes(self, wanted: ProcessAttributes) -> ProcessAttributes:
        """Nothing more than is wanted."""
        return wanted

    def connect(self, started: StartedProcess) -> PythonLink:
        """Take over our ends, and send the process its settings."""
        link = PythonLink(self.worker, self.parts, self.channels, started, self.exit_news)
        link.send_config(self._worker_config())
        return link

    def _worker_config(self) -> WorkerConfig:
        return WorkerConfig(
            **{name: getattr(self.parts.config, name) for name in _FROM_CONFIG},
            wire_version=WIRE_VERSION,
            worker_id=self.worker.worker_id,
            generation=self.worker.generation,
            channel_fd=self.channels.worker_end.fileno(),
            page_fd=self.channels.page_fd,
            wakeup_fd=self.channels.wakeup_fd,
            lifeline_fd=self.channels.worker_lifeline_fd,
            listeners=tuple(listener.info for listener in self.parts.listeners),
        )


class PythonRuntime:
    """Starts workers of our own."""

    def __init__(self, parts: RuntimeParts) -> None:
        self._parts = parts
        self._python: dict[int, list[str]] = {}  # by generation
        self._exit_news = ExitNews()

    @property
    def other_addresses(self) -> list[str]:
        """None."""
        return []

    @property
    def messages(self) -> dict[str, int]:
        """Nothing: such workers send each other none."""
        return {}

    async def prepare_generation(self, generation: int) -> None:
        """Find out which Python runs this generation's workers; what it runs, every worker finds out by itself.

        Raises:
            FastlbError: it is none that can.
        """
        parts = self._parts.of(generation)
        if not parts.config.interpreter:
            self._python[generation] = python_command(parts.config, parts.environment.variables)
            return
        enter_directory(parts.config.cwd)
        self._python[generation] = await asyncio.to_thread(python_command, parts.config, parts.environment.variables)

    def prepare_start(self, worker: WorkerHandle, number: int, ours: ExitStack, theirs: ExitStack) -> PythonStart:
        """Open all channels of a process; each stack closes its ends.

        Raises:
            OSError: no descriptors or no memory are left.
            SpawnError: the dispatcher's table is full.
        """
        parts = self._parts.of(worker.generation)
        env = worker_environment(parts.config, worker.worker_id, parts.environment)
        channels = self._open_channels(ours, theirs)
        env["FASTLB_WORKER_ID"] = str(worker.worker_id)
        return PythonStart(worker, parts, channels, env, self._python[worker.generation], self._exit_news)

    def keep_only(self, generations: set[int]) -> None:
        """Forget which Python ran older generations."""
        oldest = min(generations, default=0)  # the next generation may be prepared and have no worker yet
        self._python = {number: python for number, python in self._python.items() if number >= oldest}

    def close(self) -> None:
        """Do nothing: the listeners are the app's, and whoever bound them closes them."""

    def _open_channels(self, ours: ExitStack, theirs: ExitStack) -> PythonChannels:
        slots = self._parts.keeper.slots
        slot = slots.take()
        ours.callback(slots.give_back, slot)
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
        wakeup_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        ours.callback(os.close, wakeup_fd)
        lifeline, worker_lifeline = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.enter_context(lifeline)
        worker_lifeline_fd = worker_lifeline.detach()  # the process is told the number when ours is closed already
        theirs.callback(os.close, worker_lifeline_fd)
        lifeline.setblocking(False)
        return PythonChannels(
            slot=slot,
            lifecycle=lifecycle,
            worker_lifecycle=worker_lifecycle,
            dispatcher_end=dispatcher_end,
            worker_end=worker_end,
            page_fd=page_fd,
            wakeup_fd=wakeup_fd,
            lifeline=lifeline,
            worker_lifeline_fd=worker_lifeline_fd,
        )
