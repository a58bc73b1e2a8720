"""Owns a kind of workers that fastlb does not have: any program, without dispatcher, slot or channel.

It shows that such a kind needs nothing but its own runtime and traits. Runs in the test process.
"""

import asyncio
import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from fastlb.supervisor.actions.call import ActionCall, ActionOutcome
from fastlb.supervisor.errors import FastlbError
from fastlb.supervisor.processes.attributes import ProcessAttributes
from fastlb.supervisor.processes.environment import worker_environment
from fastlb.supervisor.processes.reaper import ExitStatus, send_signal
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.traits import Replacing, WorkerTraits
from fastlb.supervisor.workers.handle import WorkerHandle
from fastlb.supervisor.workers.life import LetExit, LifeEventName, SendShutdown
from fastlb.supervisor.workers.runtime import RuntimeParts, StartedProcess, WorkDone

ALIVE_AFTER = 0.05


class ProgramLink:
    """The process is all there is."""

    impediment = ""

    def __init__(self, worker: WorkerHandle, parts: RuntimeParts, started: StartedProcess) -> None:
        self._worker = worker
        self._signal = parts.config.kill_signal
        self._pidfd = started.process.pidfd
        loop = asyncio.get_running_loop()
        self._ready = loop.call_later(ALIVE_AFTER, worker.apply, LifeEventName.SERVING)

    def explain(self, status: ExitStatus, error_output: str) -> str:
        """Return nothing."""
        return ""

    def admit(self) -> None:
        """Do nothing: it serves already."""

    async def admitted(self) -> None:
        """Return at once: it serves already."""

    def drain(self, *, by_itself: bool, quietly: bool) -> None:
        """Ask it to end."""
        if not by_itself:
            send_signal(self._pidfd, self._signal)
        self._worker.apply(LifeEventName.DRAINED)

    def end_with_app(self) -> None:
        """Do nothing: it was asked."""

    def tell_app(self, what: SendShutdown | LetExit) -> None:
        """Do nothing: it was asked."""

    def write_line(self, line: bytes) -> None:
        """Refuse it: its standard input is /dev/null."""
        raise FastlbError("has no standard input")

    async def run_action(self, call: ActionCall) -> ActionOutcome:
        """Refuse it."""
        raise FastlbError("has no actions")

    def work_done(self) -> WorkDone:
        """Return that nothing is known."""
        return WorkDone(0, None, 0)

    def pulse(self) -> None:
        """Return that nothing is known."""

    def look(self, elapsed: float) -> None:
        """Look for nothing."""

    def take_last_words(self) -> None:
        """Do nothing: there is no channel."""

    def close(self) -> None:
        """Forget it."""
        self._ready.cancel()


@dataclass(frozen=True)
class ProgramStart:
    """A program that is about to run."""

    worker: WorkerHandle
    parts: RuntimeParts
    env: Mapping[str, str]

    @property
    def pass_fds(self) -> Mapping[int, int]:
        """None."""
        return {}

    @property
    def command(self) -> list[str]:
        """The target, split as a shell does."""
        return shlex.split(self.parts.config.target)

    def attributes(self, wanted: ProcessAttributes) -> ProcessAttributes:
        """Nothing more than is wanted."""
        return wanted

    def connect(self, started: StartedProcess) -> ProgramLink:
        """Look after it."""
        return ProgramLink(self.worker, self.parts, started)


class ProgramRuntime:
    """Starts programs."""

    def __init__(self, parts: RuntimeParts) -> None:
        self._parts = parts
        self.other_addresses: list[str] = []
        self.messages: dict[str, int] = {}
        self.prepared: list[int] = []

    async def prepare_generation(self, generation: int) -> None:
        """Refuse a target that is no command."""
        try:
            shlex.split(self._parts.config.target)
        except ValueError as error:
            raise FastlbError(str(error)) from error

    def prepare_start(
        self, worker: WorkerHandle, number: int, ours: ExitStack, theirs: ExitStack
    ) -> ProgramStart:
        """There is nothing to open."""
        parts = self._parts.of(worker.generation)
        env = worker_environment(parts.config, worker.worker_id, parts.environment)
        return ProgramStart(worker, parts, env)

    def keep_only(self, generations: set[int]) -> None:
        """Nothing belongs to a generation."""

    def close(self) -> None:
        """Nothing is accepted here."""


def check(config: AppConfig) -> None:
    """Find nothing wrong."""


def program_traits(replacing: Replacing) -> WorkerTraits:
    """Return what such a kind says of itself."""
    return WorkerTraits(
        kind="program",
        title="other",
        runtime=f"{__name__}:ProgramRuntime",
        check=check,
        mode="fork",
        needs_dispatcher=False,
        replacing=replacing,
        without_meaning=("balance", "credit"),
        not_said="did not say that it is ready",
        abort_signal="SIGKILL",
    )
