"""Owns a simulated app that is scaled by its load: a demand over time, workers that share it, no process and no clock.

Runs in the test process, and in the script that draws the picture of docs/autoscaling.md.
"""

import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fastlb.supervisor.autoscaling.judge import Decision, Sample, Situation, decide
from fastlb.supervisor.settings.scaling import ScalingPlan

PLAN = ScalingPlan(minimum=1, maximum=16)
MIB = 1 << 20
Demand = Callable[[float], float]


@dataclass
class Simulation:
    """An app whose demand is a function of time: percents of one core, which its workers share as far as they reach.

    `start_time`: seconds that a new worker takes. `memory_bytes`: of the machine; `worker_bytes`: of each worker.
    """

    demand: Demand
    plan: ScalingPlan = PLAN
    start_time: float = 2.0
    memory_bytes: int = 0
    worker_bytes: int = 50 * MIB
    workers: int = 1
    steps: list[tuple[float, int, Decision]] = field(default_factory=list)

    def run(self, seconds: float) -> "Simulation":
        """Let so much time pass."""
        samples: deque[Sample] = deque(maxlen=self.plan.samples_kept)
        changed_at, serves_from = 0.0, 0.0
        for now in self._moments(seconds):
            if now < serves_from:
                continue  # an operation is under way
            samples.append(self._sample(now))
            found = decide(samples, self.plan, Situation(self.workers, changed_at, self.memory_bytes))
            if found.kind in ("up", "down"):
                self.steps.append((now, self.workers, found))
                serves_from = now + self.start_time * (found.kind == "up")
                self.workers, changed_at = found.workers, serves_from
        return self

    def _moments(self, seconds: float) -> Iterator[float]:
        interval = self.plan.sample_interval
        return (number * interval for number in range(1, int(seconds / interval)))

    def _sample(self, now: float) -> Sample:
        each = min(max(self.demand(now), 0.0) / self.workers, 100.0)
        return Sample(now, self.workers, cpu=each, memory_bytes=self.worker_bytes)

    @property
    def sizes(self) -> list[int]:
        """The numbers of workers, one after the other."""
        return [found.workers for _, _, found in self.steps]

    @property
    def turns(self) -> int:
        """How often the direction has changed."""
        kinds = [found.kind for _, _, found in self.steps]
        return sum(one != other for one, other in itertools.pairwise(kinds))


def step_at(at: float, before: float, after: float) -> Demand:
    """Return a demand that changes once."""
    return lambda now: after if now >= at else before


def ramp(peak: float, at: float) -> Demand:
    """Return a demand that grows from a little to its peak, and falls again."""
    return lambda now: peak - abs(now - at) / at * (peak - 20)


def noise(mean: float, spread: float) -> Demand:
    """Return a demand that is another one at each moment, always in the same order."""
    numbers = random.Random(7)
    return lambda now: numbers.gauss(mean, spread)


def wave(mean: float, height: float, period: float) -> Demand:
    """Return a sinus."""
    return lambda now: mean + height * math.sin(now / period * 2 * math.pi)


def herd(begin: float, end: float) -> Demand:
    """Return a demand of everybody at once, far above what all workers can do."""
    return lambda now: 5000.0 if begin <= now < end else 10.0
