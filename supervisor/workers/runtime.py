"""Owns what the two kinds of workers have in common for the supervisor: ours for Python, Node's own for Node.

Runs in the supervisor process. A runtime knows how its workers are started, how they are spoken to and what they
count; when that happens is decided by lifecycle.py and carried out by worker_host.py, which know no kinds.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ...lb.command import DispatcherEvent
from ..processes.spawn import SpawnedProcess

if TYPE_CHECKING:
    from .handle import WorkerHandle
    from .incarnation import Incarnation


@dataclass(frozen=True)
class WorkerCounters:
    """What is known of one worker's work. `requests` is None where nobody counts them."""

    connections: int
    requests: int | None
    errors: int


@dataclass(frozen=True)
class Pulse:
    """Signs of life: monotonic nanoseconds. `oldest_request_ns` 0: none runs, or nobody knows."""

    heartbeat_ns: int
    oldest_request_ns: int


class WorkerLink(Protocol):
    """All that connects the supervisor with one worker process; owns its descriptors until `close`."""

    @property
    def explanation(self) -> str:
        """What is known of why it may have failed, beside its own output."""

    def counters(self) -> WorkerCounters:
        """What it has done so far."""

    def pulse(self) -> Pulse:
        """When it last showed that it lives; may ask it for another sign."""

    def take_last_words(self) -> None:
        """Read what a process that has exited left behind."""

    def close(self) -> None:
        """Close what we hold; the process must have been reaped."""


class Opening(Protocol):
    """The channels of a process that is about to be."""

    @property
    def command(self) -> list[str]:
        """Program and arguments."""

    @property
    def pass_fds(self) -> tuple[int, ...]:
        """Borrowed descriptors that it inherits."""

    @property
    def env(self) -> Mapping[str, str]:
        """Its whole environment."""


@dataclass(frozen=True)
class Place:
    """Where a new process stands.

    Attributes:
        number: of its incarnation.
        slot: in the dispatcher's table.
        process: pid and pidfd, borrowed.
        workers: how many workers the app is to have: they share what is bounded for the app.
    """

    number: int
    slot: int
    process: SpawnedProcess
    workers: int


class WorkerRuntime(Protocol):
    """One kind of workers.

    `finishes_through_dispatcher`: its workers are told to finish by the dispatcher, which must outlive them.
    """

    finishes_through_dispatcher: bool

    @property
    def other_addresses(self) -> list[str]:
        """Where the app is reached beside its listeners."""

    async def prepare(self, generation: int) -> None:
        """Do what must be done once before workers of this generation are started.

        Raises:
            FastlbError: they cannot be; the message says why.
        """

    def open(self, worker: "WorkerHandle", number: int, ours: ExitStack, theirs: ExitStack) -> Opening:
        """Open the channels of incarnation `number`; each stack closes its ends.

        Raises:
            OSError: no descriptors or no memory are left.
            FastlbError: this app cannot be started like that; the message says why.
        """

    def connect(self, worker: "WorkerHandle", opening: Opening, place: Place) -> WorkerLink:
        """Take over our ends of a process that was started, and begin to speak with it."""

    def admit(self, worker: "WorkerHandle", incarnation: "Incarnation") -> None:
        """Bring it into the dispatcher's policy."""

    def drain(self, incarnation: "Incarnation", *, by_itself: bool) -> None:
        """Take it out of the policy and tell it to finish, unless it leaves `by_itself`."""

    def forget(self, incarnation: "Incarnation") -> None:
        """Its process is gone."""

    def on_event(self, worker: "WorkerHandle", incarnation: "Incarnation", event: DispatcherEvent) -> None:
        """What the dispatcher says of a worker of this kind, beside what it says of all."""

    def keep_only(self, generations: set[int]) -> None:
        """Give up what only other generations needed."""

    def close(self) -> None:
        """The app ends: nothing is accepted from now on."""
