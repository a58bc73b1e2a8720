"""Owns what follows from the events that take a worker out of service, up to the end of its process. Pure.

Runs in the supervisor process. The table in transitions.py says which of these functions an event leads to.
"""

from dataclasses import replace

from .life import (
    SIGNAL_GRACE,
    Drain,
    Effects,
    EndedBy,
    Failure,
    KillGroup,
    LetExit,
    Lifecycle,
    LifeEvent,
    LifeEventName,
    Outcome,
    Report,
    SendShutdown,
    SendSignal,
    State,
)

# Of kill_timeout, how much a worker that drains quietly has for its connections; the rest is for its app to end.
QUIET_SHARE = 0.75
CHOICES = {
    LifeEventName.SIGNAL_CHOSEN: EndedBy.SIGNAL,
    LifeEventName.MESSAGE_CHOSEN: EndedBy.MESSAGE,
    LifeEventName.NOTHING_CHOSEN: EndedBy.DISCONNECT,
}


def drain(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """READY, ADMITTED -> DRAINING."""
    is_quiet = life.is_preloaded
    deadline = now + life.rules.kill_timeout * (QUIET_SHARE if is_quiet else 1.0)
    draining = replace(life, state=State.DRAINING, deadline=deadline, is_leaving=True, is_quiet=is_quiet)
    return draining, (Drain(quietly=is_quiet), Report("worker_draining"))


def let_go(life: Lifecycle, event: LifeEvent, now: float) -> Outcome:
    """READY, ADMITTED -> DRAINING, by its own wish: another takes its place when it has exited."""
    deadline = now + life.rules.kill_timeout
    failure = Failure(event.reason, is_own_wish=True)
    draining = replace(life, state=State.DRAINING, deadline=deadline, failure=failure)
    return draining, (Drain(by_itself=True), Report("worker_left", reason=event.reason))


def note_choice(life: Lifecycle, event: LifeEvent, _now: float) -> Outcome:
    """DRAINING: the last word counts."""
    return replace(life, ended_by=CHOICES[event.name]), ()


def tell_idle(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """DRAINING -> ENDING: nothing is left that a signal could cut off; it may take its time to clean up."""
    if not life.is_quiet:
        return life, ()
    return _tell_end(replace(life, is_idle=True), now + life.rules.kill_timeout)


def _tell_end(life: Lifecycle, deadline: float) -> Outcome:
    """DRAINING -> ENDING."""
    effects: dict[EndedBy, Effects] = {
        EndedBy.DISCONNECT: (Drain(),),
        EndedBy.SIGNAL: (SendSignal(life.rules.kill_signal),),
        EndedBy.MESSAGE: (SendShutdown(),),
    }
    return replace(life, state=State.ENDING, deadline=deadline), effects[life.ended_by]


def _rest_of_kill_timeout(life: Lifecycle) -> float:
    return life.rules.kill_timeout * (1 - QUIET_SHARE)


def end_draining(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """DRAINING -> ENDING if it is quiet: what is still open is the app's business; else -> STOPPING."""
    if life.is_quiet and not life.is_finished:
        return _tell_end(life, now + _rest_of_kill_timeout(life))
    return _give_up_finishing(life, now)


def leave_quietly(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """DRAINING -> ENDING: its app has told Node to disconnect; it must not be told again."""
    if not life.is_quiet:
        return life, ()
    assert life.deadline is not None
    deadline = life.deadline + _rest_of_kill_timeout(life)
    ending = replace(life, state=State.ENDING, deadline=deadline, ended_by=EndedBy.DISCONNECT)
    return ending, (Drain(by_itself=True),)


def note_left(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """ENDING: so its app ends."""
    return life, (Drain(by_itself=True),)


def let_exit(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """ENDING: after `disconnect` Node closes the channel itself."""
    return life, () if life.ended_by is EndedBy.DISCONNECT else (LetExit(),)


def note_ended(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """ENDING: its channel is closed. An app that ends by itself is not disturbed again."""
    if life.ended_by is EndedBy.DISCONNECT:
        return _finish(life, now)
    return replace(life, is_finished=True), ()


def end_ending(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """ENDING -> STOPPING."""
    if life.ended_by is not EndedBy.SIGNAL:
        return _give_up_finishing(life, now)
    killed, effects = _force(replace(life, state=State.STOPPING))
    return killed, effects if life.is_idle else (*effects, _cut_off(life))


def note_finished(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """DRAINING: its channel is closed."""
    return _finish(life, now)


def _finish(life: Lifecycle, now: float) -> Outcome:
    """An app that holds nothing open exits now by itself."""
    assert life.deadline is not None
    return replace(life, is_finished=True, deadline=min(life.deadline, now + SIGNAL_GRACE)), ()


def note_drained(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """DRAINING, ENDING, STOPPING: the dispatcher has no more connections for it."""
    return replace(life, is_drained=True), ()


def cancel_start(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """STARTING -> STOPPING: it has no connections that could be drained."""
    stopping, effects = _signal(replace(life, is_leaving=True), life.rules.kill_signal, now)
    return replace(stopping, deadline=now + life.rules.starting_grace), effects


def leave(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """DRAINING, STOPPING: whatever made it go, it will not come back."""
    return replace(life, is_leaving=True), ()


def _give_up_finishing(life: Lifecycle, now: float) -> Outcome:
    """DRAINING, ENDING -> STOPPING."""
    stopping, effects = _signal(life, life.rules.kill_signal, now)
    if life.is_finished:  # it has no client left to wait for: it may take its time to clean up
        return replace(stopping, deadline=now + max(life.rules.kill_timeout, SIGNAL_GRACE)), effects
    return stopping, (*effects, _cut_off(life))


def _cut_off(life: Lifecycle) -> Report:
    reason = f"not finished within kill_timeout ({life.rules.kill_timeout:g} s)"
    return Report("worker_cut_off", failed=True, reason=reason)


def give_up_starting(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """STARTING -> STOPPING; the stack on its stderr shows where it waits, if it is of a kind that can tell."""
    missing = life.rules.not_said if life.is_serving else life.rules.not_serving
    if life.awaits_check:
        missing = f"did not pass its health check ({life.ailment or 'it was not asked yet'})"
    failure = Failure(f"{missing} within {life.rules.listen_timeout:g} s: give it longer with --listen-timeout")
    return _signal(replace(life, failure=failure), life.rules.abort_signal, now)


def note_failed_start(life: Lifecycle, event: LifeEvent, now: float) -> Outcome:
    """STARTING -> STOPPING: it exits by itself, or is helped."""
    failure = Failure(event.reason, event.details, event.is_usage)
    return replace(life, state=State.STOPPING, deadline=now + SIGNAL_GRACE, failure=failure), ()


def abort(life: Lifecycle, event: LifeEvent, now: float) -> Outcome:
    """READY, ADMITTED, DRAINING -> STOPPING; the stack on its stderr shows where it hangs, as far as its kind can."""
    stopping, effects = _signal(replace(life, failure=Failure(event.reason)), life.rules.abort_signal, now)
    return stopping, (Drain(), *effects, Report("worker_hung", failed=True, reason=event.reason))


def end_at_once(life: Lifecycle, event: LifeEvent, _now: float) -> Outcome:
    """Living -> STOPPING, by SIGKILL: nothing that it says can be relied on."""
    stopping = replace(life, state=State.STOPPING, deadline=None, failure=Failure(event.reason))
    return stopping, (Drain(by_itself=True), KillGroup(), Report("worker_killed", failed=True, reason=event.reason))


def await_exit(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """Living -> STOPPING: a dying process closes its channels just before it is seen to exit."""
    stopping = replace(life, state=State.STOPPING, deadline=now + SIGNAL_GRACE)
    return stopping, (Drain(by_itself=True),) if life.has_been_ready else ()


def _signal(life: Lifecycle, signal: str, now: float) -> Outcome:
    return replace(life, state=State.STOPPING, deadline=now + SIGNAL_GRACE), (SendSignal(signal),)


def kill(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """STOPPING: the grace is over."""
    return _force(life)


def _force(life: Lifecycle) -> Outcome:
    failure = life.failure or Failure("closed its channel to the supervisor and did not exit")
    return replace(life, deadline=None, failure=failure), (KillGroup(), Report("worker_killed", failed=True))


def stop(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """Living -> STOPPING, by SIGKILL."""
    return replace(life, state=State.STOPPING, deadline=None, is_leaving=True), (KillGroup(),)


def forget(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """BACKOFF, ERRORED -> EXITED: there is no process to stop."""
    return replace(life, state=State.EXITED, deadline=None, is_leaving=True), ()


def note_death(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """Living -> STOPPING: there is nothing left to signal, and how long it lived is certain."""
    return replace(life, state=State.STOPPING, deadline=None, died_at=now), ()
