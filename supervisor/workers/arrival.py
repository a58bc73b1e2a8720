"""Owns what follows from the events that bring a worker up: from its start to its place in the policy. Pure.

Runs in the supervisor process. The table in transitions.py says which of these functions an event leads to.
"""

from dataclasses import replace

from .life import (
    Admit,
    EndedBy,
    Lifecycle,
    LifeEvent,
    Outcome,
    Report,
    Spawn,
    State,
)


def start(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """EXITED -> STARTING."""
    return _spawn(life, now)


def restart(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """BACKOFF -> STARTING."""
    return _spawn(replace(life, restarts=life.restarts + 1), now)


def _spawn(life: Lifecycle, now: float) -> Outcome:
    """What the last process was and did is forgotten."""
    started = replace(
        life,
        state=State.STARTING,
        deadline=now + life.rules.listen_timeout,
        died_at=None,
        is_leaving=False,
        is_serving=False,
        has_said_ready=False,
        has_been_ready=False,
        is_unready=False,
        has_passed_check=False,
        ailment="",
        is_ill=False,
        is_drained=False,
        is_finished=False,
        is_preloaded=False,
        is_quiet=False,
        ended_by=EndedBy.DISCONNECT,
        is_idle=False,
        failure=None,
        exit_code=None,
    )
    return started, (Spawn(),)


def note_serving(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """STARTING: ready, if this was what was missing."""
    return _ready_if_proven(replace(life, is_serving=True), now)


def note_ready_said(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """STARTING: ready, if this was what was missing."""
    return _ready_if_proven(replace(life, has_said_ready=True), now)


def note_check_passed(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """STARTING: ready, if this was what was missing."""
    return _ready_if_proven(replace(life, has_passed_check=True), now)


def note_check_failed(life: Lifecycle, event: LifeEvent, _now: float) -> Outcome:
    """STARTING: it is asked again; this is why it is not ready yet."""
    return replace(life, ailment=event.reason), ()


def _ready_if_proven(life: Lifecycle, now: float) -> Outcome:
    """STARTING -> READY; a restarted worker goes on to ADMITTED."""
    if not life.awaits_check or (life.rules.has_health_check and not life.has_passed_check):
        return life, ()
    ready = replace(life, state=State.READY, deadline=None, ready_at=now, has_been_ready=True)
    if life.is_trial:
        return ready, (Report("worker_ready"),)
    return _admit_now(ready)


def admit(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """READY -> ADMITTED."""
    return _admit_now(life)


def _admit_now(life: Lifecycle) -> Outcome:
    admitted = replace(life, state=State.ADMITTED, is_trial=False)
    return admitted, (Report("worker_admitted"),) if life.is_withheld else (Admit(), Report("worker_admitted"))


def preloaded(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """STARTING, READY, ADMITTED: it can drain quietly."""
    return replace(life, is_preloaded=True), ()
