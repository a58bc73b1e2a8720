"""Restart delays and the end of a crash loop."""

from dataclasses import replace

import pytest
from fastlb.supervisor.processes.backoff import (
    JITTER,
    LONGEST_DELAY,
    CrashHistory,
    RestartRules,
    Verdict,
    after_exit,
    grown_delay,
)
from fastlb.supervisor.settings.app_config import AppConfig
from hypothesis import given
from hypothesis import strategies as st

RULES = RestartRules(min_uptime=1.0, max_restarts=15, restart_window=60.0, exp_backoff_restart_delay=0.1)


def crash_until_given_up(rules: RestartRules, *, uptime: float, most: int, jitter: float = 0.0) -> int:
    """How many exits after `uptime` seconds it takes; `most` + 1 if it is never given up."""
    history, now = CrashHistory(), 1000.0
    for count in range(1, most + 1):
        now += uptime
        verdict = after_exit(rules, history, now=now, uptime=uptime, jitter=jitter)
        if verdict.delay is None:
            return count
        history, now = verdict.history, now + verdict.delay
    return most + 1


def test_delay_grows_with_each_unstable_exit() -> None:
    history, delays = CrashHistory(), []
    for _ in range(4):
        verdict = after_exit(RULES, history, now=5.0, uptime=0.0, jitter=0.0)
        assert verdict.delay is not None
        delays.append(verdict.delay)
        history = verdict.history
    assert delays == pytest.approx([0.1, 0.15, 0.225, 0.3375])


def test_jitter_lengthens_a_delay_by_its_part() -> None:
    verdict = after_exit(RULES, CrashHistory(), now=5.0, uptime=0.0, jitter=0.5)
    assert verdict.delay == pytest.approx(0.1 * (1 + JITTER / 2))


def test_an_exit_is_forgotten_when_the_window_has_passed() -> None:
    for window, kept in ((60.0, 1), (61.0, 2)):
        rules = RestartRules(min_uptime=1.0, max_restarts=15, restart_window=window, exp_backoff_restart_delay=0.1)
        verdict = after_exit(rules, CrashHistory(unstable_exits=(40.0,)), now=100.0, uptime=0.0, jitter=0.0)
        assert len(verdict.history.unstable_exits) == kept


def test_who_is_given_up_keeps_its_history() -> None:
    rules = RestartRules(min_uptime=1.0, max_restarts=1, restart_window=60.0, exp_backoff_restart_delay=0.1)
    verdict = after_exit(rules, CrashHistory(), now=5.0, uptime=0.0, jitter=0.0)
    assert verdict == Verdict(CrashHistory(unstable_exits=(5.0,), streak=1), None)


def test_fixed_delay_is_always_the_same() -> None:
    rules = replace(RULES, restart_delay=5.0)
    for streak, uptime in ((0, 0.0), (12, 0.0), (0, 100.0)):
        verdict = after_exit(rules, CrashHistory(streak=streak), now=500.0, uptime=uptime, jitter=1.0)
        assert verdict.delay == 5.0


def test_fixed_delay_longer_than_the_window_keeps_no_crash_loop_alive() -> None:
    assert crash_until_given_up(replace(RULES, restart_delay=100.0), uptime=0.0, most=100) == 15


@pytest.mark.parametrize(
    ("given", "fixed", "growing"),
    [
        ({}, 0.0, 0.1),
        ({"restart_delay": 5.0}, 5.0, 0.1),
        ({"exp_backoff_restart_delay": 2.0}, 0.0, 2.0),
        ({"exp_backoff_restart_delay": 2.0, "restart_delay": 5.0}, 0.0, 2.0),
    ],
)
def test_growing_delay_wins_where_both_are_given(given: dict[str, float], fixed: float, growing: float) -> None:
    rules = RestartRules.of(AppConfig(target="app:app", name="app", **given))  # type: ignore[arg-type]
    assert (rules.restart_delay, rules.exp_backoff_restart_delay) == (fixed, growing)


def test_delay_that_is_given_is_never_cut() -> None:
    assert [grown_delay(20.0, streak) for streak in (0, 1, 50)] == [20.0, 20.0, 20.0]


def test_delay_has_an_upper_bound_however_long_the_streak() -> None:
    assert grown_delay(0.1, 10_000) == LONGEST_DELAY


def test_stable_exit_restarts_after_the_first_delay_and_ends_the_streak() -> None:
    unstable = after_exit(RULES, CrashHistory(streak=5), now=5.0, uptime=0.5, jitter=0.0)
    stable = after_exit(RULES, unstable.history, now=9.0, uptime=1.0, jitter=0.0)
    assert stable.delay == RULES.exp_backoff_restart_delay
    assert stable.history.streak == 0


def test_crash_before_ready_is_unstable_at_any_age() -> None:
    verdict = after_exit(RULES, CrashHistory(), now=500.0, uptime=None, jitter=0.0)
    assert len(verdict.history.unstable_exits) == 1


def test_crash_loop_is_given_up_although_the_delays_outgrow_the_window() -> None:
    slow = RestartRules(min_uptime=1.0, max_restarts=15, restart_window=60.0, exp_backoff_restart_delay=10.0)
    assert crash_until_given_up(slow, uptime=0.5, most=100) == 15


def test_unstable_exits_that_are_far_apart_are_forgotten() -> None:
    rules = RestartRules(min_uptime=50.0, max_restarts=3, restart_window=60.0, exp_backoff_restart_delay=0.1)
    assert crash_until_given_up(rules, uptime=40.0, most=100) == 101


def test_no_restarts_allowed_gives_up_at_the_first_unstable_exit() -> None:
    rules = RestartRules(min_uptime=1.0, max_restarts=0, restart_window=60.0, exp_backoff_restart_delay=0.1)
    assert crash_until_given_up(rules, uptime=0.0, most=3) == 1


@given(
    max_restarts=st.integers(1, 20),
    restart_delay=st.floats(0, 100),
    uptime=st.floats(0, 0.99),
    jitter=st.floats(0, 1),
)
def test_crash_loop_always_ends_at_max_restarts(
    max_restarts: int, restart_delay: float, uptime: float, jitter: float
) -> None:
    rules = RestartRules(1.0, max_restarts, 60.0, restart_delay)
    assert crash_until_given_up(rules, uptime=uptime, most=25, jitter=jitter) == max_restarts


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), max_size=200))
def test_history_stays_bounded(exits: list[tuple[float, float]]) -> None:
    history, now = CrashHistory(), 0.0
    for uptime, jitter in exits:
        now += uptime
        history = after_exit(RULES, history, now=now, uptime=uptime, jitter=jitter).history
        assert len(history.unstable_exits) <= RULES.max_restarts
