"""Owns the questions about the set of workers of an app: who stays, who goes, who is missing, how the app is. Pure.

Runs in the supervisor process.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from ..control.protocol import AppStatus
from .life import ALIVE, AT_REST, Failure, Lifecycle, State


class Member(Protocol):
    """A worker that is asked about: a WorkerHandle, or what a test puts in its place."""

    @property
    def worker_id(self) -> int:
        """Number of the worker, 0..n-1, shared with its replacement."""

    @property
    def generation(self) -> int:
        """Which code the worker runs: counted from 1, one more with each reload and restart."""

    @property
    def life(self) -> Lifecycle:
        """The worker's record."""


M = TypeVar("M", bound=Member)

# Ascending; all other states are of more use.
_USEFULNESS = {State.ERRORED: 0, State.DONE: 0, State.BACKOFF: 1}


def staying(members: Iterable[M]) -> list[M]:
    """Return the workers that nobody has asked to go and that have not failed for good, by worker id."""
    lasting = (m for m in members if not m.life.is_leaving and m.life.state is not State.EXITED)
    return sorted(lasting, key=lambda m: (m.worker_id, m.generation))


def established(members: Iterable[M]) -> list[M]:
    """Return those of `staying` that are no longer on trial: what a reload has to replace."""
    return [m for m in staying(members) if not m.life.is_trial]


def surplus(members: Iterable[M], target: int) -> list[M]:
    """Return the workers to drain so that `target` remain, in order.

    First those that serve nobody: they were given up, or wait for their restart. Then the newest, so that ids
    stay 0..n-1 without a gap.
    """
    ordered = sorted(staying(members), key=_drain_order)
    return ordered[: max(len(ordered) - target, 0)]


def _drain_order(member: Member) -> tuple[int, int, int]:
    usefulness = _USEFULNESS.get(member.life.state, len(_USEFULNESS))
    return usefulness, -member.worker_id, -member.generation


def missing_ids(members: Iterable[Member], target: int, held: Iterable[int] = ()) -> list[int]:
    """Return the lowest free worker ids that are needed to have `target` workers; `held`: of those that are stopped."""
    running = {m.worker_id for m in staying(members)}
    taken = running | set(held)
    free = (worker_id for worker_id in range(target + len(taken)) if worker_id not in taken)
    return [next(free) for _ in range(target - len(running))]


def given_up_ids(members: Iterable[Member]) -> list[int]:
    """Return the ids of those that stay although they have crashed too often, and do not run."""
    return [m.worker_id for m in staying(members) if m.life.state is State.ERRORED]


def is_abandoned(members: Iterable[Member]) -> bool:
    """Whether no worker gets connections, or will without being asked to."""
    return all(m.life.state in AT_REST for m in staying(members))


def last_failure(members: Iterable[Member]) -> Failure | None:
    """Return why the last of those failed that were given up, as far as can be told; None: there are none."""
    failed = [m.life for m in staying(members) if m.life.failure]
    return max(failed, key=lambda life: life.died_at or 0.0).failure if failed else None


def admitted_count(members: Iterable[Member]) -> int:
    """Return how many workers get connections."""
    return sum(m.life.gets_connections for m in staying(members))


def are_all_at_rest(members: Iterable[Member]) -> bool:
    """Return whether there are workers, and no process of them is left or will come by itself."""
    states = {m.life.state for m in staying(members)}
    return bool(states) and states <= AT_REST


def exit_code_of(members: Iterable[Member]) -> int:
    """Return the exit code of workers that have all ended as of one program: that of the first that failed, or 0."""
    codes = (m.life.exit_code or 0 for m in staying(members))
    return next((code for code in codes if code), 0)


def app_status(members: Sequence[Member], target: int, meanwhile: AppStatus | None) -> AppStatus:
    """Return one word for the app.

    Args:
        members: all workers.
        target: how many there are to be.
        meanwhile: the word while something is being done to the app that has one of its own, or None.
    """
    if meanwhile:
        return meanwhile
    states = [member.life.state for member in staying(members)]
    admitted, done = admitted_count(members), states.count(State.DONE)
    if admitted + done >= target:
        return "online" if admitted else "finished"
    if admitted or any(state in ALIVE or state is State.BACKOFF for state in states):
        return "degraded"
    return "errored"
