"""Owns the judgement of a worker's health by its answers, and of the app's by that of its workers. Pure.

Runs in the supervisor process. Every time is passed in.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..settings.health import HealthPlan

# Of a worker that starts, or is ill, the next answer is wanted sooner than after a long interval.
FIRST_PAUSE = 0.1
LONGEST_STARTING_PAUSE = 1.0
LONGEST_ILL_PAUSE = 5.0


@dataclass(frozen=True)
class Health:
    """What one process has answered.

    Attributes:
        failures, successes: in a row; one of them is 0.
        asked: how often.
        is_ill: it is to get no connections.
        reason: why, for people; that of the last failure.
    """

    failures: int = 0
    successes: int = 0
    asked: int = 0
    is_ill: bool = False
    reason: str = ""


NEW = Health()


def after_answer(plan: HealthPlan, health: Health, failure: str, age: float) -> Health:
    """Return what is known after an answer.

    Args:
        plan: the settings.
        health: as it was before.
        failure: why the answer is none, "" for a good one.
        age: seconds since the process was started.
    """
    asked = health.asked + 1
    if not failure:
        successes = health.successes + 1
        is_ill = health.is_ill and successes < plan.successes
        return Health(successes=successes, asked=asked, is_ill=is_ill, reason=health.reason if is_ill else "")
    if age < plan.grace_period and not health.is_ill:
        return replace(health, successes=0, asked=asked)
    return Health(failures=health.failures + 1, asked=asked, is_ill=True, reason=failure)


def next_pause(plan: HealthPlan, health: Health, *, is_ready: bool, jitter: float) -> float:
    """Return the seconds until the process is asked again; `jitter`: a random number in 0..1.

    The first pause of a healthy one is cut short by chance: workers that started together are not asked together.
    """
    if not is_ready:
        return min(FIRST_PAUSE * 2.0 ** min(health.asked, 10), LONGEST_STARTING_PAUSE, plan.interval)
    if health.is_ill or not health.successes:
        return min(plan.interval, LONGEST_ILL_PAUSE)
    return plan.interval * (jitter if health.successes == 1 else 1.0)


def is_to_be_replaced(plan: HealthPlan, health: Health) -> bool:
    """Whether a worker has failed too often in a row to be waited for."""
    return health.is_ill and health.failures >= plan.failures


def is_panic(serving: Iterable[Health]) -> bool:
    """Whether all workers that serve are ill: then something else is, and to refuse all clients would help nobody."""
    healths = list(serving)
    return bool(healths) and all(health.is_ill for health in healths)
