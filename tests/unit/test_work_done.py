"""The end of a process whose work is done: by its exit code, and never after a fault."""

from dataclasses import replace

import pytest
from fastlb.supervisor.workers.life import Discard, Lifecycle, LifecycleRules, LifeEvent, LifeEventName, State
from fastlb.supervisor.workers.transitions import step

from tests.support.lives import RULES


def rules(autorestart: bool = True, codes: tuple[int, ...] = ()) -> LifecycleRules:
    return replace(RULES, restart=replace(RULES.restart, autorestart=autorestart, stop_exit_codes=codes))


def after(rules: LifecycleRules, names: str) -> Lifecycle:
    life = Lifecycle(rules)
    for name in names.split():
        life, _ = step(life, LifeEvent(LifeEventName[name]), 0.0)
    return life


@pytest.mark.parametrize("names", ["", "SERVING", "SERVING ADMIT_REQUESTED"])
@pytest.mark.parametrize(
    ("rules", "exit_code", "is_done"),
    [
        (rules(autorestart=False), 0, True),
        (rules(), 0, False),
        (rules(autorestart=False), 1, False),
        (rules(codes=(3, 4)), 4, True),
        (rules(codes=(3, 4)), 0, False),
        (rules(autorestart=False, codes=(3,)), 0, True),
    ],
)
def test_exit_code_says_whether_the_work_is_done(
    names: str, rules: LifecycleRules, exit_code: int, is_done: bool
) -> None:
    before = after(rules, f"START_REQUESTED {names}")
    life, effects = step(before, LifeEvent(LifeEventName.EXITED, exit_code=exit_code), 1.0)
    assert (life.state is State.DONE) is is_done
    assert (life.failure is None) is is_done
    assert life.exit_code == exit_code
    assert Discard() in effects


def test_process_that_was_killed_for_a_fault_has_failed() -> None:
    hung = after(rules(autorestart=False), "START_REQUESTED SERVING ADMIT_REQUESTED HUNG")
    life, _ = step(hung, LifeEvent(LifeEventName.EXITED, exit_code=0), 1.0)
    assert life.state is State.ERRORED


def test_work_that_is_done_once_more_is_not_done_meanwhile() -> None:
    starting = after(rules(autorestart=False), "START_REQUESTED")
    done, _ = step(starting, LifeEvent(LifeEventName.EXITED, exit_code=0), 1.0)
    forgotten, _ = step(done, LifeEvent(LifeEventName.DRAIN_REQUESTED), 2.0)
    again, _ = step(forgotten, LifeEvent(LifeEventName.START_REQUESTED), 3.0)
    assert (again.state, again.exit_code) == (State.STARTING, None)
