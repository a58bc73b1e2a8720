"""When a worker has had enough, and how long the next replacement waits."""

import pytest
from fastlb.supervisor.limits.judge import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Allowance,
    LimitRules,
    Used,
    Verdict,
    allowance,
    judge,
    next_pause,
    pause_after_failure,
)
from fastlb.supervisor.limits.memory import memory_bytes
from fastlb.supervisor.processes.tree import process_tree

MEBIBYTE = 1 << 20
RULES = LimitRules(max_memory_restart=100 * MEBIBYTE, max_requests=1000, max_requests_jitter=100, max_lifetime=3600.0)
MEMORY = Verdict("", is_memory=True)


def used(memory: float = 0, *, requests: int = 0, lifetime: float = 0.0, growth: float = 0.0) -> Used:
    return Used(round(memory * MEBIBYTE), requests, lifetime, growth * MEBIBYTE)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (used(100), None),
        (used(100.5), "it uses 100M of memory, over max_memory_restart (100M)"),
        (used(60, growth=30), None),
        (used(60, growth=50), "it uses 60M of memory, about to be over max_memory_restart (100M)"),
        (used(101, growth=-50), "it uses 101M of memory, over max_memory_restart (100M)"),
        (used(requests=999, lifetime=3599), None),
        (used(requests=1000), "it has answered 1000 requests (max_requests)"),
        (used(lifetime=3600.2), "it has lived for 1h (max_lifetime)"),
    ],
)
def test_worker_over_a_limit_is_told_which(state: Used, reason: str | None) -> None:
    verdict = judge(allowance(RULES, 0.0), state)
    assert (verdict and verdict.reason) == reason


def test_without_limits_a_worker_may_use_anything() -> None:
    rules = LimitRules(0, 0, 100, 0.0)
    assert not rules.any
    assert allowance(rules, 1.0) == Allowance(0, 0, 0.0)
    assert judge(allowance(rules, 1.0), used(1e6, requests=10**9, lifetime=1e9, growth=1e6)) is None


@pytest.mark.parametrize("rules", [LimitRules(1, 0, 0, 0.0), LimitRules(0, 1, 0, 0.0), LimitRules(0, 0, 0, 1.0)])
def test_one_limit_is_enough_to_look(rules: LimitRules) -> None:
    assert rules.any


def test_jitter_adds_requests_and_takes_from_the_lifetime() -> None:
    assert allowance(RULES, 1.0) == Allowance(100 * MEBIBYTE, 1100, 3600.0 * 0.9)


def test_only_memory_far_above_the_limit_is_urgent() -> None:
    allowed = allowance(RULES, 0.0)
    verdicts = [judge(allowed, state) for state in (used(150), used(151), used(149, growth=50), used(requests=2000))]
    assert [verdict and verdict.is_urgent for verdict in verdicts] == [False, True, False, False]


def test_pauses_double_while_new_processes_are_over_their_memory_limit_at_once() -> None:
    pauses = [0.0]
    for _ in range(9):
        pauses.append(next_pause(MEMORY, lived=pauses[-1] + 1, last_pause=pauses[-1]))
    assert pauses[1:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert next_pause(MEMORY, lived=2 * LONGEST_PAUSE, last_pause=LONGEST_PAUSE) == FIRST_PAUSE


def test_limits_of_requests_and_time_need_no_pause() -> None:
    assert next_pause(Verdict("", is_memory=False), lived=1.0, last_pause=40.0) == 0.0


def test_pauses_grow_after_replacements_that_do_not_start() -> None:
    assert pause_after_failure(0.0) == FIRST_PAUSE
    assert pause_after_failure(FIRST_PAUSE) == 2 * FIRST_PAUSE
    assert pause_after_failure(LONGEST_PAUSE) == LONGEST_PAUSE


def test_process_that_is_gone_uses_nothing() -> None:
    assert process_tree(2**30) == [2**30]
    assert memory_bytes(2**30, 0) == 0
