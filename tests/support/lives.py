"""A worker's record in every state of its life, by the events that usually lead there. Pure."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from fastlb.supervisor.processes.backoff import NO_CRASHES, RestartRules
from fastlb.supervisor.workers.life import Effects, Lifecycle, LifecycleRules, LifeEvent, LifeEventName, State
from fastlb.supervisor.workers.transitions import step

RULES = LifecycleRules(
    listen_timeout=60.0,
    kill_timeout=30.0,
    kill_signal="SIGTERM",
    wait_ready=False,
    restart=RestartRules(min_uptime=1.0, max_restarts=3, restart_window=60.0, exp_backoff_restart_delay=0.1),
    not_serving="was not ready",
    not_said="did not say it",
    abort_signal="SIGABRT",
)
PATHS = {
    State.EXITED: [],
    State.STARTING: ["START_REQUESTED"],
    State.READY: ["START_REQUESTED", "SERVING"],
    State.ADMITTED: ["START_REQUESTED", "SERVING", "ADMIT_REQUESTED"],
    State.DRAINING: ["START_REQUESTED", "SERVING", "ADMIT_REQUESTED", "DRAIN_REQUESTED"],
    State.ENDING: ["START_REQUESTED", "PRELOADED", "SERVING", "ADMIT_REQUESTED", "DRAIN_REQUESTED", "IDLE"],
    State.STOPPING: ["START_REQUESTED", "SERVING", "ADMIT_REQUESTED", "HUNG"],
    State.BACKOFF: ["START_REQUESTED", "SERVING", "ADMIT_REQUESTED", "EXITED"],
}

# The same for a worker that is not started anew: with exit code 0 it has done its work.
JOB = replace(RULES, restart=replace(RULES.restart, autorestart=False))


def after(life: Lifecycle, *names: str, now: float = 0.0) -> tuple[Lifecycle, Effects]:
    """Return the record after these events, and the effects of the last one."""
    effects: Effects = ()
    for name in names:
        life, effects = step(life, LifeEvent(LifeEventName[name]), now)
    return life, effects


def in_state(state: State, rules: LifecycleRules = RULES) -> Lifecycle:
    """Return a worker that came into `state` on the usual way, at time 0; ERRORED after its first crash."""
    if state is State.DONE:
        admitted, _ = after(Lifecycle(JOB), *PATHS[State.ADMITTED])
        life, _ = step(admitted, LifeEvent(LifeEventName.EXITED, exit_code=0), 0.0)
    elif state is State.ERRORED:
        once = replace(rules, restart=replace(rules.restart, max_restarts=1))
        life, _ = after(Lifecycle(once), *PATHS[State.BACKOFF])
    else:
        life, _ = after(Lifecycle(rules), *PATHS[state])
    assert life.state is state
    return life


def kinds(effects: Effects) -> list[type]:
    """Return the type of each effect."""
    return [type(effect) for effect in effects]


@dataclass(frozen=True)
class Step:
    """One use of the table: the record `before`, what happens to it (with this exit code), the record `after`."""

    before: Lifecycle
    event: LifeEventName
    exit_code: int
    after: Lifecycle
    effects: Effects


@functools.cache
def every_step() -> tuple[Step, ...]:
    """Return each event to each record that the table can lead to, times aside, if anything follows from it.

    A deadline passes when it is due. Made once: it takes seconds.
    """
    return tuple(one for one in _every_step() if (one.after, one.effects) != (one.before, ()))


def _every_step() -> Iterator[Step]:
    restarts = [replace(RULES.restart, max_restarts=2, autorestart=autorestart) for autorestart in (False, True)]
    rules = [replace(RULES, restart=restart, wait_ready=wait) for restart in restarts for wait in (False, True)]
    rules += [replace(RULES, restart=restart, has_health_check=True) for restart in restarts]
    unseen = [Lifecycle(rule, restarts=count) for rule in rules for count in (0, int(not rule.wait_ready))]
    seen: set[Lifecycle] = set()
    while unseen:
        life = unseen.pop()
        if without_times(life) in seen:
            continue
        seen.add(without_times(life))
        for name, exit_code in [*((name, 1) for name in LifeEventName), (LifeEventName.EXITED, 0)]:
            is_due = name is LifeEventName.DEADLINE_PASSED and life.deadline is not None
            now = life.deadline if is_due and life.deadline is not None else life.ready_at
            outcome, effects = step(life, LifeEvent(name, "so it is", exit_code=exit_code), now)
            yield Step(life, name, exit_code, outcome, effects)
            if outcome != life:
                unseen.append(outcome)


def without_times(life: Lifecycle) -> Lifecycle:
    """Return the same record where only it counts whether there is a time, not which."""
    deadline, died_at = (None if moment is None else 0.0 for moment in (life.deadline, life.died_at))
    crashes = replace(NO_CRASHES, unstable_exits=(0.0,) * len(life.crashes.unstable_exits))
    timeless = replace(life, deadline=deadline, died_at=died_at, ready_at=0.0, crashes=crashes)
    return replace(timeless, restarts=min(life.restarts, 1), failure=None)
