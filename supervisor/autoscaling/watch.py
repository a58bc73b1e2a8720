"""Owns how many workers there are to be where the load decides: pinned or not, and what was decided last.

Runs in the supervisor process. It starts and stops nobody itself: that is an operation, which waits its turn.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ..control.protocol import AutoscalingEntry
from ..errors import FastlbError, UsageError
from ..generations.generations import Generations
from ..home.paths import AppPaths
from ..output import wall_clock
from ..output.event_log import EventLog
from ..processes.cgroup import MemoryCgroup
from ..settings.app_config import AppConfig
from ..settings.scaling import ScalingPlan, first_workers, scaling_plan
from ..workers.crew import Crew
from .judge import Decision, Sample, Situation, decide
from .load import LoadMeter, memory_to_share
from .remembered import Remembered, load_remembered, save_remembered

# Seconds; after a step that failed the pauses before the next one double.
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 600.0
STAY = Decision("stay", 0)


@dataclass(frozen=True)
class AutoscalingParts:
    """What an Autoscaling works with; all borrowed. `cgroups`: that count the memory of all workers."""

    generations: Generations
    crew: Crew
    cgroups: Sequence[MemoryCgroup]
    paths: AppPaths
    log: EventLog


class Autoscaling:
    """Looks at the load of an app, if its settings say so, and says how many workers it asks for.

    Attributes:
        is_pinned: a person has said how many workers there are to be.
    """

    asker = "autoscaling"

    def __init__(self, parts: AutoscalingParts) -> None:
        self.is_pinned = False
        self._parts = parts
        self._meter = LoadMeter()
        self._samples: deque[Sample] = deque()
        self._next_at = 0.0
        self._changed_at = time.monotonic()
        self._decision = STAY
        self._last = ("", "")  # what was decided last, and when
        self._held = ""
        self._pause = 0.0
        parts.crew.target_workers = self._first_workers()

    @property
    def plan(self) -> ScalingPlan | None:
        """How the newest workers' settings say that the app is scaled; None: not by its load."""
        return scaling_plan(self._parts.generations.config)

    def is_wanted(self) -> bool:
        """Look at the load, if it is time to; say whether another number of workers is wanted."""
        plan, now = self.plan, time.monotonic()
        if plan is None or now < self._next_at:
            return False
        self._next_at = now + plan.sample_interval
        if sample := self._meter.sample(self._parts.crew.members, now):
            self._samples = deque([*self._samples, sample], maxlen=plan.samples_kept)
        if self.is_pinned or self._parts.crew.held:
            return False
        self._decision = self._decide(plan)
        return self._decision.kind in ("up", "down")

    def take_due(self) -> int | None:
        """Return the number of workers that is wanted now; None: the present one. `note_outcome` must follow."""
        plan = self.plan
        if plan is None or self.is_pinned:
            return None
        self._decision = self._decide(plan)
        if self._decision.kind not in ("up", "down"):
            return None
        self._report(self._decision)
        return self._decision.workers

    def note_outcome(self, *, succeeded: bool) -> None:
        """Take note that the step was made, or not: the next one comes after a pause."""
        now = time.monotonic()
        self._pause = 0.0 if succeeded else min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        self._changed_at = now
        self._next_at = now + self._pause

    def pin(self, workers: int) -> str:
        """Take note that a person wants so many; return what to add to the sentence that says that there are.

        Raises:
            FastlbError: it could not be written down.
        """
        if self.plan is None:
            return ""
        self.is_pinned = True
        self._changed_at = time.monotonic()
        self._remember()
        self._parts.log.info("autoscaling_pinned", workers=workers)
        return f"; pinned, until `fastlb scale {self._parts.paths.name} auto`"

    def unpin(self) -> str:
        """Let the number follow the load again. Returns a sentence.

        Raises:
            UsageError: the app is not scaled by its load.
            FastlbError: it could not be written down.
        """
        plan = self.plan
        if plan is None:
            name = self._parts.paths.name
            raise UsageError(
                f"{name} is not scaled by its load: `fastlb set {name} max_instances=N`, then `fastlb reload {name}`"
            )
        bounds = f"{plan.minimum} to {plan.maximum} workers, as the load asks for"
        if not self.is_pinned:
            return f"not pinned: {bounds}"
        self._let_go()
        self._remember()
        return f"no longer pinned: {bounds}"

    def workers_after(self, before: AppConfig, after: AppConfig) -> int:
        """Return how many workers there are to be when the settings `after` take the place of `before`.

        As many as there are, where nobody has asked for another number.
        """
        plan, present = scaling_plan(after), self._parts.crew.target_workers
        if plan is None or before.workers != after.workers or scaling_plan(before) is None:
            return first_workers(after)
        return present if self.is_pinned else plan.bounded(present)

    def settle(self, before: AppConfig) -> None:
        """Take note that the workers have other settings than `before`: another number in them ends a pin."""
        if self.is_pinned and (self.plan is None or before.workers != self._parts.generations.config.workers):
            self._let_go()
        self.remember()

    def remember(self) -> None:
        """Write down how many workers there are to be, if the load decides that; the log is told if that cannot be."""
        if self.plan is None:
            return
        try:
            self._remember()
        except FastlbError as error:
            self._parts.log.error("autoscaling_not_remembered", reason=error.message)

    def _remember(self) -> None:
        asked = self._parts.generations.config.workers
        save_remembered(self._parts.paths, Remembered(self._parts.crew.target_workers, self.is_pinned, asked))

    def entry(self) -> AutoscalingEntry | None:
        """Return what `list` and `show` say; None: the app is not scaled by its load."""
        plan = self.plan
        if plan is None:
            return None
        text, at = self._last
        return AutoscalingEntry("pinned" if self.is_pinned else "auto", plan.minimum, plan.maximum, text, at)

    def _first_workers(self) -> int:
        config = self._parts.generations.config
        plan, remembered = scaling_plan(config), load_remembered(self._parts.paths)
        if plan is None or remembered is None or remembered.asked != config.workers:
            return first_workers(config)
        self.is_pinned = remembered.pinned
        return remembered.workers if remembered.pinned else plan.bounded(remembered.workers)

    def _decide(self, plan: ScalingPlan) -> Decision:
        crew = self._parts.crew
        serving = self._samples[-1].workers if self._samples else 0
        if serving != crew.wanted_workers and self._samples:
            return STAY  # some have not come yet, or are down: what the others do says nothing
        situation = Situation(crew.target_workers, self._changed_at, memory_to_share(self._parts.cgroups))
        decision = decide(self._samples, plan, situation)
        if decision.kind == "held" and not self._held:
            self._report(decision)
        self._held = decision.reason if decision.kind == "held" else ""
        return decision

    def _report(self, decision: Decision) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_clock.now()))
        self._last = (f"{decision.kind} to {decision.workers}: {decision.reason}", at)
        numbers = {"cpu_percent": decision.cpu, "busy_percent": decision.busy}
        known = {name: number for name, number in numbers.items() if number is not None}
        memory = self._samples[-1].memory_bytes if self._samples else 0
        before = self._parts.crew.target_workers
        fields = {"workers_before": before, "workers": decision.workers, **known, "memory_bytes": memory}
        if decision.kind == "held":
            self._parts.log.warning("autoscaling_held", **fields, reason=decision.reason)
        else:
            self._parts.log.info("autoscaling_decided", **fields, reason=decision.reason)

    def _let_go(self) -> None:
        self.is_pinned = False
        self._changed_at = time.monotonic()
        self._parts.log.info("autoscaling_unpinned")
