"""Owns the watch over the limits of workers: it sees who is over one, and asks for a replacement.

Runs in the supervisor process. It replaces nobody itself: that is an operation, which waits its turn.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..generations.generations import Generations
from ..output.event_log import EventLog
from ..processes.cgroup import MemoryCgroup
from ..workers.crew import uptime
from ..workers.handle import WorkerHandle
from ..workers.incarnation import Incarnation
from ..workers.life import ON_THE_WAY_OUT, LifeEventName, State
from .judge import (
    FIRST_PAUSE,
    RETRY,
    Allowance,
    LimitRules,
    Used,
    Verdict,
    allowance,
    judge,
    next_pause,
    pause_after_failure,
)
from .memory import memory_bytes
from .pressure import Candidate, CgroupPressure, judge_pressure

# Two looks closer together share one reading: nothing can be said of growth in so short a time.
SHORTEST_INTERVAL = 0.2
# Resident memory is exact enough to tell who is the largest.
RESIDENT = 1 << 62

Key = tuple[int, float]  # of a process: its pid, and when it was started


@dataclass
class _Seen:
    """What is remembered of one process.

    `memory_bytes` was read at `read_at`, `first_bytes` when it was new; `growth`: bytes a second.
    """

    allowed: Allowance
    read_at: float
    memory_bytes: int
    first_bytes: int
    growth: float = 0.0
    is_reported: bool = False


@dataclass
class _Pause:
    """Of one worker id: no limit replaces its process before `until`, in monotonic seconds."""

    until: float = 0.0
    length: float = 0.0


@dataclass(frozen=True)
class _Replaced:
    """Why a worker is being replaced, and for how many seconds its process had lived."""

    verdict: Verdict
    lived: float


class LimitWatch:
    """Watches the workers of an app.

    Args:
        generations: have the limits.
        cgroups: that count the memory of all workers.
        members: returns all workers.
        log: is told who is over which limit.
    """

    asker = "limit"

    def __init__(
        self,
        generations: Generations,
        cgroups: Sequence[MemoryCgroup],
        members: Callable[[], Iterable[WorkerHandle]],
        log: EventLog,
    ) -> None:
        self._generations = generations
        config = generations.config
        self._pressure = CgroupPressure(config.cgroup_memory_restart, cgroups)
        self._members = members
        self._log = log
        self._seen: dict[Key, _Seen] = {}
        self._pauses: dict[int, _Pause] = {}
        self._being_replaced: dict[WorkerHandle, _Replaced] = {}
        self._retry_at: float | None = None

    def is_wanted(self) -> bool:
        """Look at every worker that serves; say whether a replacement is wanted.

        A worker far above its memory limit, of which the replacement is on its way, is drained at once.
        """
        if not self._pressure.is_watched and not any(self._rules_of(worker).any for worker in self._members()):
            return False
        now = time.monotonic()
        verdicts = self._judge_all()
        for worker, verdict in verdicts.items():
            if verdict.is_urgent and worker in self._being_replaced:
                self._send_away(worker, verdict)
        is_owed = self._retry_at is not None and now >= self._retry_at
        return is_owed or any(self._is_due(worker, verdict) for worker, verdict in verdicts.items())

    def take_due(self) -> list[WorkerHandle]:
        """Return who is to be replaced now; `note_outcome` must follow."""
        self._being_replaced = {
            worker: _Replaced(verdict, uptime(worker))
            for worker, verdict in self._judge_all().items()
            if self._is_due(worker, verdict)
        }
        for worker, replaced in self._being_replaced.items():
            if replaced.verdict.is_of_cgroup:
                self._pressure.note_verdict(time.monotonic())
                if replaced.verdict.is_urgent:
                    self._send_away(worker, replaced.verdict)
        return list(self._being_replaced)

    def note_outcome(self, *, succeeded: bool) -> None:
        """Take note that those who were due are replaced, or not all: the next time for each comes after a pause."""
        now = time.monotonic()
        for worker, replaced in self._being_replaced.items():
            pause = self._pauses.setdefault(worker.worker_id, _Pause())
            if succeeded:
                pause.length = next_pause(replaced.verdict, replaced.lived, pause.length)
            else:
                pause.length = pause_after_failure(pause.length)
            pause.until = now + pause.length
        self._being_replaced = {}
        # An old worker that had to go before its replacement failed is missing until a later try succeeds.
        self._retry_at = None if succeeded else now + FIRST_PAUSE

    def _is_due(self, worker: WorkerHandle, verdict: Verdict) -> bool:
        pause = self._pauses.get(worker.worker_id)
        if pause is None or time.monotonic() >= pause.until:
            return True
        return verdict.is_urgent and uptime(worker) >= FIRST_PAUSE

    def _send_away(self, worker: WorkerHandle, verdict: Verdict) -> None:
        self._log.warning("limit_urgent", worker_id=worker.worker_id, reason=verdict.reason)
        self._retry_at = time.monotonic() + RETRY  # if no replacement comes of it
        worker.apply(LifeEventName.DRAIN_REQUESTED)

    def _judge_all(self) -> dict[WorkerHandle, Verdict]:
        """Return who serves and is over a limit, by worker id; report each process once."""
        serving = [worker for worker in self._members() if worker.life.state is State.ADMITTED]
        verdicts: dict[WorkerHandle, Verdict] = {}
        seen: dict[Key, _Seen] = {}
        for worker in sorted(serving, key=lambda worker: worker.worker_id):
            incarnation = worker.incarnation
            assert incarnation is not None, "what is admitted has a process"
            key = _key(worker)
            seen[key] = self._seen.get(key) or self._first_look(incarnation, self._rules_of(worker))
            verdict = self._judge(incarnation, seen[key])
            if verdict:
                verdicts[worker] = verdict
                self._report(worker, verdict, seen[key])
        self._seen = seen
        return verdicts or self._judge_pressure(serving)

    def _judge_pressure(self, serving: list[WorkerHandle]) -> dict[WorkerHandle, Verdict]:
        """Return who is to go because the cgroup is nearly full: one at a time, and nobody while another still goes."""
        tightness = self._pressure.look(time.monotonic())
        if tightness is None or any(worker.life.state in ON_THE_WAY_OUT for worker in self._members()):
            return {}
        seen = {worker: self._seen[_key(worker)] for worker in serving}
        found = judge_pressure(tightness, [self._candidate(worker, seen[worker]) for worker in serving])
        if found is None:
            return {}
        self._report(*found, seen[found[0]])
        return dict([found])

    def _candidate(self, worker: WorkerHandle, seen: _Seen) -> Candidate[WorkerHandle]:
        return Candidate(worker, memory_bytes(_key(worker)[0], RESIDENT), seen.first_bytes)

    def _rules_of(self, worker: WorkerHandle) -> LimitRules:
        return LimitRules.of(self._generations.of(worker.generation).config)

    def _first_look(self, incarnation: Incarnation, rules: LimitRules) -> _Seen:
        allowed = allowance(rules, random.random())
        pid = incarnation.process.pid
        first = memory_bytes(pid, RESIDENT)
        memory = memory_bytes(pid, allowed.memory_bytes) if allowed.memory_bytes else first
        return _Seen(allowed, time.monotonic(), memory, first)

    def _judge(self, incarnation: Incarnation, seen: _Seen) -> Verdict | None:
        now = time.monotonic()
        if seen.allowed.memory_bytes and now - seen.read_at >= SHORTEST_INTERVAL:
            memory = memory_bytes(incarnation.process.pid, seen.allowed.memory_bytes)
            seen.growth = (memory - seen.memory_bytes) / (now - seen.read_at)
            seen.memory_bytes, seen.read_at = memory, now
        used = Used(
            memory_bytes=seen.memory_bytes,
            growth=seen.growth,
            requests=(incarnation.link.work_done().requests or 0) if seen.allowed.requests else 0,
            lifetime=now - incarnation.started_at,
        )
        return judge(seen.allowed, used)

    def _report(self, worker: WorkerHandle, verdict: Verdict, seen: _Seen) -> None:
        if not seen.is_reported:
            seen.is_reported = True
            self._log.info("limit_reached", worker_id=worker.worker_id, reason=verdict.reason)


def _key(worker: WorkerHandle) -> Key:
    """Return what tells the process of a worker, which must have one, from all others."""
    incarnation = worker.incarnation
    assert incarnation is not None, "what is admitted has a process"
    return incarnation.process.pid, incarnation.started_at
