"""Owns how the processes of fork mode are started: any program, with what it may use of ours. Runs in the supervisor.

A process has a standard input that stays open, an IPC channel if it can use one, and the app's listening sockets in the
way of systemd (sd_listen_fds(3)).
"""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec

from ..processes.attributes import ProcessAttributes
from ..processes.environment import worker_environment
from ..processes.working_directory import enter_directory
from ..settings.addresses import SYSTEMD_FIRST_FD
from ..settings.readiness import proof_of
from ..workers.handle import WorkerHandle
from ..workers.runtime import RuntimeParts, StartedProcess
from .channel import open_channel, open_standard_input
from .link import ForkLink, ProgramEnds
from .own_port import needed_port
from .target.command import ProgramCommand, program_command

STDIN = 0


@dataclass(frozen=True)
class ForkStart:
    """A process that is about to be.

    Attributes:
        worker: whose process it is.
        parts: what the runtime works with.
        command: program and arguments.
        env: its whole environment.
        pass_fds: borrowed descriptors that it inherits, by the number that each has there.
        ends: ours.
    """

    worker: WorkerHandle
    parts: RuntimeParts
    command: list[str]
    env: Mapping[str, str]
    pass_fds: Mapping[int, int]
    ends: ProgramEnds

    def attributes(self, wanted: ProcessAttributes) -> ProcessAttributes:
        """What is wanted; besides, it ends with us, as nobody else would notice, and knows its sockets."""
        return msgspec.structs.replace(
            wanted,
            parent=os.getpid(),
            death_signal=int(signal.Signals[self.parts.config.kill_signal]),
            listeners=tuple(listener_name(listener.spec) for listener in self.parts.listeners),
        )

    def connect(self, started: StartedProcess) -> ForkLink:
        """Take over our ends."""
        return ForkLink(self.worker, self.parts, self.ends, started)


class ForkRuntime:
    """Starts the processes of a fork-mode app."""

    def __init__(self, parts: RuntimeParts) -> None:
        self._parts = parts
        self._commands: dict[int, ProgramCommand] = {}  # by generation
        for listener in parts.listeners:
            # Nobody of us accepts, and a simple program that does expects to wait.
            listener.socket.setblocking(True)

    @property
    def other_addresses(self) -> list[str]:
        """None: where the processes listen is their own business."""
        return []

    @property
    def messages(self) -> dict[str, int]:
        """Nothing: such workers send each other none."""
        return {}

    async def prepare_generation(self, generation: int) -> None:
        """Find out how this generation's processes are started.

        Raises:
            FastlbError: they cannot be.
        """
        parts = self._parts.of(generation)
        enter_directory(parts.config.cwd)
        self._commands[generation] = await asyncio.to_thread(program_command, parts.config, parts.environment.variables)

    def prepare_start(self, worker: WorkerHandle, number: int, ours: ExitStack, theirs: ExitStack) -> ForkStart:
        """Open what a process is started with; each stack closes its ends.

        Raises:
            OSError: no descriptors are left.
            UsageError: `increment_var` does not start from a whole number, or its port must be known and is not.
        """
        parts = self._parts.of(worker.generation)
        config = parts.config
        program = self._commands[worker.generation]
        env = {**program.env, **worker_environment(config, worker.worker_id, parts.environment)}
        env["FASTLB_WORKER_ID"] = str(worker.worker_id)
        stdin_fd, program_stdin_fd = open_standard_input(ours, theirs)
        listener_fds = [listener.socket.fileno() for listener in parts.listeners]
        pass_fds = {STDIN: program_stdin_fd, **dict(enumerate(listener_fds, SYSTEMD_FIRST_FD))}
        proof = proof_of(config, self._parts.traits)
        port = needed_port(config, env, has_listeners=bool(listener_fds))
        if config.hang_timeout:
            env["WATCHDOG_USEC"] = str(round(config.hang_timeout * 1e6))
        channel = None
        if program.speaks_node or proof == "said" or config.shutdown_with_message:
            channel, program_end = open_channel(ours, theirs)
            channel_fd = SYSTEMD_FIRST_FD + len(listener_fds)
            pass_fds[channel_fd] = program_end.fileno()
            env |= {"NODE_CHANNEL_FD": str(channel_fd), "NODE_CHANNEL_SERIALIZATION_MODE": "json"}
        return ForkStart(worker, parts, list(program.argv), env, pass_fds, ProgramEnds(stdin_fd, channel, port))

    def keep_only(self, generations: set[int]) -> None:
        """Forget how processes of older generations were started."""
        oldest = min(generations, default=0)  # the next generation may be prepared and have no process yet
        self._commands = {number: command for number, command in self._commands.items() if number >= oldest}

    def close(self) -> None:
        """Do nothing: the listeners are the app's, and whoever bound them closes them."""


def listener_name(spec: str) -> str:
    """Return how a program knows a listener (LISTEN_FDNAMES): as `--bind` names it, `127.0.0.1-8000`."""
    return spec.replace(":", "-")
