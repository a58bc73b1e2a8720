"""The judgement on new code: its errors and latencies beside those of the others."""

import pytest
from fastlb.supervisor.canary.judge import Figures, figures, judge
from fastlb.supervisor.canary.order import CanaryOrder, CanaryRules, check_order
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.workers.runtime import WorkDone

from .test_latency import histogram

RULES = CanaryRules(duration=60.0, min_requests=100, max_errors=1.0, max_slowdown=3.0)
OTHERS = Figures(1000, 2, histogram(b10=1000))
MIDST, END = 30.0, 60.0


def canary(requests: int, errors: int = 0, **slow: int) -> Figures:
    quick = requests - sum(slow.values())
    return Figures(requests, errors, histogram(**{"b10": quick, **slow}))


@pytest.mark.parametrize(
    ("found", "elapsed", "outcome"),
    [
        (canary(500), MIDST, "wait"),
        (canary(500), END, "go on"),
        (canary(99), END, "roll back"),
        (canary(0), MIDST, "wait"),
        (canary(500, errors=6), MIDST, "wait"),
        (canary(500, errors=7), MIDST, "roll back"),
        (canary(2, errors=2), MIDST, "wait"),
        (canary(3, errors=3), MIDST, "roll back"),
        (canary(500, b15=10), MIDST, "wait"),
        (canary(500, b15=10), END, "roll back"),
        (canary(1000, b15=20), MIDST, "roll back"),
        (canary(1000, b15=5), END, "go on"),
        (canary(500, b13=10), END, "go on"),
        (Figures(None), MIDST, "wait"),
        (Figures(None), END, "go on"),
    ],
)
def test_canary_is_judged(found: Figures, elapsed: float, outcome: str) -> None:
    verdict = judge(found, OTHERS, RULES, elapsed)
    assert verdict.outcome == outcome
    assert bool(verdict.reason) is (outcome != "wait")


def test_latencies_of_a_few_others_say_nothing() -> None:
    assert judge(canary(500, b15=400), Figures(50, 0, histogram(b10=50)), RULES, END).outcome == "go on"


def test_others_that_fail_as_often_excuse_it() -> None:
    assert judge(canary(500, errors=250), Figures(1000, 500, histogram(b10=1000)), RULES, END).outcome == "go on"


def test_what_the_others_did_before_counts_for_nothing() -> None:
    before = WorkDone(0, 100, 50, histogram(b20=100))
    after = WorkDone(0, 140, 51, histogram(b20=100, b10=40))
    new = WorkDone(0, 2, 1, histogram(b10=2))
    found = figures([(before, after), (None, new)])
    assert (found.requests, found.errors) == (42, 2)
    assert found.latency_us == histogram(b10=42)


@pytest.mark.parametrize(("workers", "percent", "count"), [(4, 0, 1), (4, 25, 1), (4, 50, 2), (8, 30, 2), (1, 100, 1)])
def test_percent_is_of_workers_and_one_at_least(workers: int, percent: float, count: int) -> None:
    assert CanaryOrder(RULES, percent, "", hung_up).canaries(workers) == count


async def hung_up() -> None:
    """Nobody hangs up here."""


@pytest.mark.parametrize(
    ("rules", "percent", "option"),
    [
        (CanaryRules(0.5, 1, 1.0, 3.0), 0, "--for"),
        (CanaryRules(60, -1, 1.0, 3.0), 0, "--min-requests"),
        (CanaryRules(60, 1, 101.0, 3.0), 0, "--max-errors"),
        (CanaryRules(60, 1, 1.0, float("nan")), 0, "--max-slowdown"),
        (RULES, 101, "--percent"),
    ],
)
def test_senseless_orders_are_refused(rules: CanaryRules, percent: float, option: str) -> None:
    with pytest.raises(UsageError, match=option):
        check_order(CanaryOrder(rules, percent, "", hung_up))
