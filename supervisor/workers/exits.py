"""Owns what follows from the end of a worker's process: a rest, a restart later, or none any more. Pure.

Runs in the supervisor process. The table in transitions.py leads here; when a restart comes is decided in
processes/backoff.py.
"""

from dataclasses import replace

from ..processes.backoff import NO_CRASHES, after_exit
from .life import (
    Discard,
    Failure,
    GiveUp,
    Lifecycle,
    LifeEvent,
    Outcome,
    Report,
    State,
)


def exited(life: Lifecycle, event: LifeEvent, now: float) -> Outcome:
    """Living -> EXITED, BACKOFF, ERRORED or DONE."""
    life = replace(life, exit_code=event.exit_code)
    if life.is_leaving:
        return _end(life), (Report("worker_exited", reason=event.reason), Discard())
    if (life.failure is None or life.failure.is_own_wish) and _is_end_of_work(life, event):
        done = replace(life, state=State.DONE, deadline=None, is_trial=False, failure=None)
        return done, (Report("worker_done", reason=event.reason), Discard(), GiveUp())
    failure = _explained(life.failure, event)
    life = replace(life, failure=failure)
    if life.is_trial:
        return _end(life), (Report("worker_start_failed", failed=True, reason=failure.reason), Discard())
    crashed = Report("worker_crashed", failed=True, reason=failure.reason)
    if not life.rules.restart.autorestart:
        return replace(life, state=State.ERRORED, deadline=None), (crashed, Discard(), GiveUp())
    return _restart_later(life, crashed, event.jitter, now)


def _is_end_of_work(life: Lifecycle, event: LifeEvent) -> bool:
    """A signal, such as the kernel's when memory has run out, ends nobody's work whatever a shell makes of it."""
    return not event.is_killed and life.rules.restart.is_end_of_work(event.exit_code)


def _restart_later(life: Lifecycle, crashed: Report, jitter: float, now: float) -> Outcome:
    """Living -> BACKOFF, or ERRORED when it has crashed too often."""
    died_at = now if life.died_at is None else life.died_at
    # From ready on: an app that is slow to start and dies at once would otherwise pass for one that has lived.
    uptime = died_at - life.ready_at if life.has_been_ready else None
    verdict = after_exit(life.rules.restart, life.crashes, now=now, uptime=uptime, jitter=jitter)
    life = replace(life, crashes=verdict.history)
    if verdict.delay is None:
        given_up = Report("worker_given_up", failed=True, reason="crashed too often: max_restarts")
        return replace(life, state=State.ERRORED, deadline=None), (crashed, given_up, Discard(), GiveUp())
    crashed = replace(crashed, restart_in=verdict.delay)
    return replace(life, state=State.BACKOFF, deadline=now + verdict.delay), (crashed, Discard())


def reset(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """Any state: what it does now, or waits for, goes on."""
    return replace(life, restarts=0, crashes=NO_CRASHES), ()


def _end(life: Lifecycle) -> Lifecycle:
    return replace(life, state=State.EXITED, deadline=None)


def _explained(known: Failure | None, event: LifeEvent) -> Failure:
    """What was known before the exit tells more than the exit; what it printed tells more than nothing."""
    if known is None:
        return Failure(event.reason, event.details, event.is_usage, event.exit_code)
    return replace(known, details=known.details or event.details, exit_code=event.exit_code)
