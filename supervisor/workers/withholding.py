"""Owns what follows from the events that keep connections from a worker for a while, and give them back. Pure.

Runs in the supervisor process. Its state stays what it is: a worker that says that it is not ready any more, and lives,
is READY or ADMITTED as before, and in the policy again as soon as it says so. The table is in transitions.py.
"""

from dataclasses import replace

from .life import Admit, Effects, Lifecycle, LifeEvent, Outcome, Report, State, Withdraw


def take_back_word(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """STARTING: what it has said before does not count."""
    return replace(life, has_said_ready=False), ()


def note_unready(life: Lifecycle, event: LifeEvent, _now: float) -> Outcome:
    """READY, ADMITTED: it gets nothing more until it says that it is ready."""
    report = () if life.is_unready else (Report("worker_unready", reason=event.reason),)
    return _withheld(life, replace(life, is_unready=True), report)


def note_ready_again(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """READY, ADMITTED: what kept connections from it is over."""
    report = (Report("worker_ready_again"),) if life.is_unready else ()
    return _withheld(life, replace(life, is_unready=False), report)


def fall_ill(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """READY, ADMITTED: it gets nothing more until it has recovered."""
    return _withheld(life, replace(life, is_ill=True), ())


def recover(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """READY, ADMITTED: its health is no reason any more."""
    return _withheld(life, replace(life, is_ill=False), ())


def forget_outdated(life: Lifecycle) -> Lifecycle:
    """Return the record without what means something in other states only."""
    if life.state not in (State.READY, State.ADMITTED) and life.is_withheld:
        life = replace(life, is_unready=False, is_ill=False)
    if life.state is not State.STARTING and (life.has_passed_check or life.ailment):
        life = replace(life, has_passed_check=False, ailment="")
    return life


def _withheld(before: Lifecycle, after: Lifecycle, report: Effects) -> Outcome:
    """Take it out of the policy, or back into it, where it was admitted and the change makes a difference."""
    if after.state is not State.ADMITTED or before.is_withheld is after.is_withheld:
        return after, report
    return after, (Withdraw() if after.is_withheld else Admit(), *report)
