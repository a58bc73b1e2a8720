"""Owns what a kind of worker must be able to do: how its processes are started, and spoken to.

Runs in the supervisor process. When something is done is decided by transitions.py and carried out by host.py, which
know no kinds; what a kind says of itself in advance is in settings/traits.py.
"""

import importlib
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from ..actions.call import ActionCall, ActionOutcome
from ..generations.generations import Generations
from ..output.event_log import EventLog
from ..processes.attributes import ProcessAttributes
from ..processes.environment import AppEnvironment
from ..processes.reaper import ExitStatus
from ..processes.spawn import SpawnedProcess
from ..settings.app_config import AppConfig
from ..settings.traits import WorkerTraits
from ..sockets.listeners import BoundListener
from .life import LetExit, SendShutdown

if TYPE_CHECKING:
    from ..dispatcher.keeper import DispatcherKeeper
    from .handle import WorkerHandle


@dataclass(frozen=True)
class WorkDone:
    """What is known of one process's work. `requests` is None where nobody counts them.

    `latency_us`: histogram of its requests (lb/page.pxd); empty where nobody measures them. `busy_share`: how much of
    what it can do at a time it does, 0 to 1; None: it has no bound, or nobody knows. `latency_sum_us`: of all requests
    in the histogram. `untaken`: of the connections, those that it has not taken yet. `busy`: that occupy it now; None:
    nobody knows. `loop_lag_ns`: how late the last turn of its event loop was, and `oldest_request_ns`: monotonic, when
    the oldest request that runs began, 0: none runs; None: nobody knows. `responses`: by their status; empty: none, or
    nobody counts them.
    """

    connections: int
    requests: int | None
    errors: int
    latency_us: Sequence[int] = ()
    busy_share: float | None = None
    latency_sum_us: int = 0
    untaken: int = 0
    busy: int | None = None
    loop_lag_ns: int | None = None
    oldest_request_ns: int | None = None
    responses: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Pulse:
    """Signs of life: monotonic nanoseconds. `oldest_request_ns` 0: none runs, or nobody knows."""

    heartbeat_ns: int
    oldest_request_ns: int


class WorkerLink(Protocol):
    """All that connects the supervisor with one worker process; owns its descriptors until `close`."""

    def explain(self, status: ExitStatus, error_output: str) -> str:
        """Return what is known of why the process ended like that; empty: nothing but the end of its stderr."""

    def admit(self) -> None:
        """Let the process have connections."""

    async def admitted(self) -> None:
        """Return when it is certain that the process gets connections, or that it is not to get any more.

        Raises:
            FastlbError: it does not get any; the message says why.
        """

    def withdraw(self) -> None:
        """Let the process, which is admitted, have no connections until `admit` is called again."""

    def drain(self, *, by_itself: bool, quietly: bool) -> None:
        """Let the process have no more connections, and tell it to finish: now, or later if `quietly`.

        It is not told at all if it leaves `by_itself`. When it is certain that none come any more, DRAINED is applied
        to the worker.
        """

    def end_with_app(self) -> None:
        """Let the process, which is drained or will be, wait for no client that asks nothing: the whole app ends."""

    def tell_app(self, what: SendShutdown | LetExit) -> None:
        """Tell the app of the process something, which only some kinds can be told."""

    async def connect_for_check(self) -> socket.socket | None:
        """Return our end of a connection to the process alone, which is counted nowhere; the caller closes it.

        None: it cannot be asked now, for no fault of its own.

        Raises:
            FastlbError, OSError: it cannot be asked.
        """

    def note_check_answered(self) -> None:
        """Take note that a request of ours was answered, which shall not count as one."""

    @property
    def is_at_capacity(self) -> bool:
        """Whether the process has as much to do as it may have: then it may be late with answers, and is not ill."""

    def write_line(self, line: bytes) -> None:
        """Write a line to the standard input of the process.

        Raises:
            FastlbError: it has none, or does not read it; the message goes on after "worker 1".
        """

    async def run_action(self, call: ActionCall) -> ActionOutcome:
        """Have the process do something for a person, and return how it ended; waits no longer than the call allows.

        Raises:
            FastlbError: it cannot be asked; the message goes on after "worker 1".
        """

    def work_done(self) -> WorkDone:
        """Return what the process has done so far."""

    def pulse(self) -> Pulse | None:
        """Return when the process last gave a sign of life, None where nobody can know; may ask it for another."""

    @property
    def impediment(self) -> str:
        """Why the process gets fewer connections than it could, as far as is known: follows "worker 1"; "": nothing."""

    def look(self, elapsed: float) -> None:
        """Look for impediments, and log a new one; `elapsed`: attended seconds since the last look."""

    def take_last_words(self) -> None:
        """Read what a process that has exited left behind."""

    def close(self) -> None:
        """Forget the process, which must have been reaped, and close what we hold of it."""


@dataclass(frozen=True)
class StartedProcess:
    """A process that was started; `number` is that of its incarnation, pid and pidfd are borrowed."""

    number: int
    process: SpawnedProcess


class PreparedStart(Protocol):
    """A process that is about to be: how it is started, and the channels that were opened for it."""

    @property
    def command(self) -> list[str]:
        """Program and arguments."""

    @property
    def pass_fds(self) -> Mapping[int, int]:
        """Borrowed descriptors that the process inherits, by the number that each has there."""

    @property
    def env(self) -> Mapping[str, str]:
        """The whole environment of the process."""

    def attributes(self, wanted: ProcessAttributes) -> ProcessAttributes:
        """Return what the process is to be, where the settings want it to be `wanted`."""

    def connect(self, started: StartedProcess) -> WorkerLink:
        """Take over our ends of the channels, and begin to speak with the process."""


class WorkerRuntime(Protocol):
    """One kind of workers, for one app."""

    @property
    def other_addresses(self) -> list[str]:
        """Where the app is reached besides its listeners."""

    @property
    def messages(self) -> dict[str, int]:
        """What became of messages between workers, counted; empty where there are none."""

    async def prepare_generation(self, generation: int) -> None:
        """Do what must be done once before workers of this generation are started.

        Raises:
            FastlbError: they cannot be; the message says why.
        """

    def prepare_start(
        self, worker: "WorkerHandle", number: int, ours: ExitStack, theirs: ExitStack
    ) -> PreparedStart:
        """Open the channels of incarnation `number`; each stack closes its ends.

        Raises:
            OSError: no descriptors or no memory are left.
            FastlbError: this app cannot be started like that; the message says why.
        """

    def keep_only(self, generations: set[int]) -> None:
        """Give up what only other generations needed."""

    def close(self) -> None:
        """Accept nothing from now on: the app ends."""


@dataclass(frozen=True)
class RuntimeParts:
    """What a runtime works with; all borrowed.

    Attributes:
        config, environment: of one generation, see `of`; those of the first one are what the whole app begins with.
        generations: has those of all.
        traits: of the app's kind of workers.
        listeners: of the app; those that its workers ask for are added.
        log: for what its workers do.
        keeper: of the dispatcher, which runs if the kind needs one.
        target_workers: says how many workers the app is to have now: they share what is bounded for the app.
        remark: tells the user, once, what he may not expect.
        living_generations: says which generations have workers that live or will live again.
    """

    config: AppConfig
    environment: AppEnvironment
    generations: Generations
    traits: WorkerTraits
    listeners: list[BoundListener]
    log: EventLog
    keeper: "DispatcherKeeper"
    target_workers: Callable[[], int]
    living_generations: Callable[[], set[int]]
    remark: Callable[[str], None]

    def of(self, generation: int) -> "RuntimeParts":
        """Return the same with the settings and the environment that workers of a generation have."""
        settings = self.generations.of(generation)
        return replace(self, config=settings.config, environment=settings.environment)


def make_runtime(parts: RuntimeParts) -> WorkerRuntime:
    """Import and make the runtime that the app's kind of workers names."""
    module, _, name = parts.traits.runtime.partition(":")
    make: Callable[[RuntimeParts], WorkerRuntime] = getattr(importlib.import_module(module), name)
    return make(parts)
