"""Owns the trial of new code: some workers serve beside the others, are looked at, and are judged.

Runs in the supervisor process. It starts nobody: the workers on trial are admitted, and what becomes of them follows
from how the trial ends. A look is taken every second; a crash, and the asker's end, are heard at once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..control.progress import Progress
from ..errors import RolledBack
from ..output.event_log import EventLog
from ..settings.quantities import format_duration
from ..workers.crew import Crew
from ..workers.handle import WorkerHandle
from ..workers.life import ALIVE, Lifecycle, State
from ..workers.runtime import WorkDone
from .judge import Figures, Verdict, figures, judge
from .order import CanaryOrder

LOOK_INTERVAL = 1.0
# Of so many looks one is told to whoever waits.
LOOKS_PER_WORD = 5


@dataclass(frozen=True)
class TrialParts:
    """What a Trial works with; all borrowed. `ailment`: why a worker is ill, or ""."""

    crew: Crew
    ailment: Callable[[WorkerHandle], str]
    log: EventLog


class Trial:
    """One trial. Make it when the workers on trial are admitted.

    Args:
        parts: what it works with.
        canaries: the workers on trial.
        order: what is asked for.
    """

    def __init__(self, parts: TrialParts, canaries: Sequence[WorkerHandle], order: CanaryOrder) -> None:
        self._parts = parts
        self._canaries = canaries
        self._order = order
        self._began_at = time.monotonic()
        self._before = dict(self._works(self._others()))
        numbers = [worker.worker_id for worker in canaries]
        self._parts.log.info("canary_admitted", workers=numbers, generation=canaries[0].generation)

    async def until_judged(self, on_progress: Callable[[Progress], None]) -> str:
        """Return, at the end of the time, why the new code may take the place of the old.

        Raises:
            RolledBack: it may not; the message says why.
        """
        ends = [asyncio.ensure_future(worker.until(_is_down)) for worker in self._canaries]
        gone = asyncio.ensure_future(self._order.hung_up())
        looks = 0
        try:
            while True:
                verdict = self._judge(is_left=gone.done())
                if verdict.outcome != "wait":
                    return self._told(verdict)
                if looks % LOOKS_PER_WORD == 0:
                    on_progress(Progress(self._word(), 0, 0))
                looks += 1
                await asyncio.wait({*ends, gone}, timeout=self._pause(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*ends, gone):
                task.cancel()
            await asyncio.gather(*ends, gone, return_exceptions=True)

    def _judge(self, *, is_left: bool) -> Verdict:
        if down := [worker for worker in self._canaries if _is_down(worker.life)]:
            failure = down[0].life.failure
            return Verdict("roll back", f"worker {down[0].worker_id} {failure.reason if failure else 'has ended'}")
        if ill := [ailment for worker in self._canaries if (ailment := self._parts.ailment(worker))]:
            return Verdict("roll back", f"it is ill: {ill[0]}")
        if is_left:
            return Verdict("roll back", "whoever asked for it has gone")
        return judge(self._of_canaries(), self._of_others(), self._order.rules, self._elapsed)

    def _told(self, verdict: Verdict) -> str:
        canary, others = self._of_canaries(), self._of_others()
        fields = {**_fields("canary", canary), **_fields("others", others), "reason": verdict.reason}
        if verdict.outcome == "go on":
            self._parts.log.info("canary_passed", **fields)
            return verdict.reason
        self._parts.log.warning("canary_rolled_back", **fields)
        raise RolledBack(f"rolled back, and the old workers have gone on: {verdict.reason}")

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began_at

    def _pause(self) -> float:
        return min(max(self._order.rules.duration - self._elapsed, 0.0), LOOK_INTERVAL)

    def _word(self) -> str:
        left = format_duration(round(max(self._order.rules.duration - self._elapsed, 0.0)))
        return f"canary: {self._of_canaries().text}; the others: {self._of_others().text}; {left} left"

    def _of_canaries(self) -> Figures:
        return figures([(None, work) for _, work in self._works(self._canaries)])

    def _of_others(self) -> Figures:
        return figures([(self._before.get(number), work) for number, work in self._works(self._others())])

    def _others(self) -> list[WorkerHandle]:
        serving = (member for member in self._parts.crew.members if member.life.state is State.ADMITTED)
        return [member for member in serving if member not in self._canaries]

    @staticmethod
    def _works(workers: Sequence[WorkerHandle]) -> list[tuple[int, WorkDone]]:
        """Return what the process of each has done, with the number of the process."""
        alive = [worker.incarnation for worker in workers if worker.incarnation]
        return [(incarnation.number, incarnation.link.work_done()) for incarnation in alive]


def _is_down(life: Lifecycle) -> bool:
    """Whether the process that was admitted has ended, and it is known why."""
    return life.state not in ALIVE or life.restarts > 0


def _fields(whose: str, found: Figures) -> dict[str, object]:
    if found.requests is None:
        return {}
    return {f"{whose}_requests": found.requests, f"{whose}_errors": found.errors, f"{whose}_p99_ms": found.p99_ms}
