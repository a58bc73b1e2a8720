"""Owns the decision how many workers the load asks for. Pure; the supervisor process.

One function of samples: it looks at no process and no clock.

A worker's load is a percentage of what it can do: of one core, or of its threads. What all workers together do, in such
percents, is the demand; the workers that are wanted are those among which the demand is below the limit of each.

    up      the mean demand of the last up_cooldown is above the limit: as many as it needs, or twice as many where
            the workers are saturated and nobody knows how much more would come
    down    at no time of the last down_cooldown more was needed, with a margin: so many that each is well below its
            limit

After each step up_cooldown passes before another one up, and down_cooldown before one down. The margin is what keeps
the number from going to and fro: what made a step up does not make the next one down.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from ..settings.scaling import ScalingPlan

# Percent: above it a worker may have more to do than it shows.
SATURATED = 95.0
# A step down leaves each worker at most at this part of its limit.
MARGIN = 0.75
# An average of a part of the window is not one of the window: a sample may be late.
WHOLE_WINDOW = 0.8


@dataclass(frozen=True)
class Sample:
    """One look at all workers.

    Attributes:
        at: monotonic seconds.
        workers: how many serve.
        cpu: percent of one core, mean of the workers.
        busy: percent of what each may do at a time, mean; None: they have no bound, or nobody knows.
        memory_bytes: of one worker, mean.
    """

    at: float
    workers: int
    cpu: float
    busy: float | None = None
    memory_bytes: int = 0


@dataclass(frozen=True)
class Situation:
    """What a decision begins with.

    `workers`: that there are to be. `changed_at`: monotonic seconds of the last change. `memory_bytes`: of the machine
    or the cgroup; 0: not known.
    """

    workers: int
    changed_at: float
    memory_bytes: int = 0


@dataclass(frozen=True)
class Decision:
    """How many workers are to be, and why.

    Attributes:
        kind: "held": more are wanted, and there is no room for them.
        workers: how many.
        reason: for people, with the numbers.
        cpu, busy: mean percentages that it was made of; None: not looked at.
    """

    kind: Literal["stay", "up", "down", "held"]
    workers: int
    reason: str = ""
    cpu: float | None = None
    busy: float | None = None


def decide(samples: Sequence[Sample], plan: ScalingPlan, now: Situation) -> Decision:
    """Return how many workers there should be; `samples`: the latest last."""
    bounded = plan.bounded(now.workers)
    if bounded != now.workers:
        kind: Literal["up", "down"] = "up" if bounded > now.workers else "down"
        return Decision(kind, bounded, f"{now.workers} is not within {plan.minimum} to {plan.maximum}")
    if not samples:
        return Decision("stay", now.workers)
    return _up(samples, plan, now) or _down(samples, plan, now) or Decision("stay", now.workers)


def _up(samples: Sequence[Sample], plan: ScalingPlan, now: Situation) -> Decision | None:
    window = _since(samples, max(samples[-1].at - plan.up_cooldown, now.changed_at))
    if now.workers >= plan.maximum or not _is_whole(window, plan.up_cooldown):
        return None
    wanted, reasons = now.workers, []
    for name, limit, loads in _signals(window, plan):
        mean = sum(loads) / len(loads)
        if mean <= limit:
            continue
        needed = math.ceil(now.workers * mean / limit)
        more = max(needed, 2 * now.workers) if mean >= SATURATED else needed
        wanted = max(wanted, more)
        reasons.append(f"{name} {mean:.0f} % is above {limit} %")
    if not reasons:
        return None
    return _braked(min(wanted, plan.maximum), ", ".join(reasons), window, plan, now)


def _braked(wanted: int, reason: str, window: Sequence[Sample], plan: ScalingPlan, now: Situation) -> Decision:
    """Return the step up as far as memory allows."""
    cpu, busy = _mean_cpu(window), _mean_busy(window)
    each = max(sample.memory_bytes for sample in window)
    room = int(plan.memory / 100 * now.memory_bytes // each) if plan.memory and now.memory_bytes and each else wanted
    if room >= wanted:
        return Decision("up", wanted, reason, cpu, busy)
    share = f"{plan.memory} % of {now.memory_bytes >> 20}M hold {max(room, 0)} workers of {each >> 20}M"
    if room <= now.workers:
        return Decision("held", now.workers, f"{reason}, but {share}", cpu, busy)
    return Decision("up", room, f"{reason}; {share}", cpu, busy)


def _down(samples: Sequence[Sample], plan: ScalingPlan, now: Situation) -> Decision | None:
    latest = samples[-1].at
    window = _since(samples, latest - plan.down_cooldown)
    is_soon = latest - now.changed_at < plan.down_cooldown
    if now.workers <= plan.minimum or is_soon or not _is_whole(window, plan.down_cooldown):
        return None
    needed, means = plan.minimum, []
    for name, limit, loads in _signals(window, plan):
        demand = [load * sample.workers for load, sample in zip(loads, window, strict=True)]
        highest = max(_moving_means(demand, window, plan.up_cooldown))
        needed = max(needed, math.ceil(highest / (limit * MARGIN)))
        means.append(f"{name} {highest / now.workers:.0f} %")
    if not means or needed >= now.workers:
        return None
    reason = f"at most {', '.join(means)} for {plan.down_cooldown:g} s: {needed} are enough"
    return Decision("down", needed, reason, _mean_cpu(window), _mean_busy(window))


def _signals(window: Sequence[Sample], plan: ScalingPlan) -> Iterator[tuple[str, int, list[float]]]:
    """Yield name, limit and loads of everything that is looked at."""
    if plan.cpu:
        yield "cpu", plan.cpu, [sample.cpu for sample in window]
    busy = [sample.busy for sample in window if sample.busy is not None]
    if plan.busy and len(busy) == len(window):
        yield "busy", plan.busy, busy


def _moving_means(values: Sequence[float], window: Sequence[Sample], length: float) -> Iterator[float]:
    """Yield the mean of the values of the last `length` seconds at each sample for which there are so many."""
    sums = [0.0, *accumulate(values)]
    begin = 0
    for end, sample in enumerate(window, 1):
        while window[begin].at <= sample.at - length:
            begin += 1
        if begin or end == len(window):
            yield (sums[end] - sums[begin]) / (end - begin)


def _since(samples: Sequence[Sample], at: float) -> list[Sample]:
    return [sample for sample in samples if sample.at > at]


def _is_whole(window: Sequence[Sample], length: float) -> bool:
    """Whether the samples are of nearly all of a window of `length` seconds."""
    if len(window) < 2:
        return False
    interval = (window[-1].at - window[0].at) / (len(window) - 1)
    return window[-1].at - window[0].at + interval >= WHOLE_WINDOW * length


def _mean_cpu(window: Sequence[Sample]) -> float:
    return round(sum(sample.cpu for sample in window) / len(window), 1)


def _mean_busy(window: Sequence[Sample]) -> float | None:
    busy = [sample.busy for sample in window if sample.busy is not None]
    return round(sum(busy) / len(busy), 1) if busy else None
