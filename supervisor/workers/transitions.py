"""Owns what follows from every event in every state of a worker's life: one table. Pure: no clock, no I/O.

Runs in the supervisor process. `step` is the only door between states: it takes a record and an event and returns
a record and the effects that the caller must perform, in order. Everything that can come of an event is in this list
(a test compares it with the table); whatever is not in it changes nothing:

    STARTING -> STARTING: SERVING READY_SAID PRELOADED
    STARTING -> READY: SERVING READY_SAID
    STARTING -> ADMITTED: SERVING READY_SAID
    STARTING -> STOPPING: STARTUP_FAILED DRAIN_REQUESTED STOP_REQUESTED FINISHED FAULTED CHANNEL_CLOSED
        DEADLINE_PASSED DIED
    STARTING -> EXITED: SPAWN_FAILED EXITED
    STARTING -> BACKOFF: SPAWN_FAILED EXITED
    STARTING -> ERRORED: SPAWN_FAILED EXITED
    STARTING -> DONE: EXITED
    READY -> READY: PRELOADED
    READY -> ADMITTED: ADMIT_REQUESTED
    READY -> DRAINING: DRAIN_REQUESTED LEFT
    READY -> STOPPING: STOP_REQUESTED FINISHED FAULTED HUNG CHANNEL_CLOSED DIED
    READY -> EXITED: EXITED
    READY -> DONE: EXITED
    ADMITTED -> ADMITTED: PRELOADED
    ADMITTED -> DRAINING: DRAIN_REQUESTED LEFT
    ADMITTED -> STOPPING: STOP_REQUESTED FINISHED FAULTED HUNG CHANNEL_CLOSED DIED
    ADMITTED -> BACKOFF: EXITED
    ADMITTED -> ERRORED: EXITED
    ADMITTED -> DONE: EXITED
    DRAINING -> DRAINING: DRAIN_REQUESTED DRAINED FINISHED SIGNAL_CHOSEN MESSAGE_CHOSEN NOTHING_CHOSEN
    DRAINING -> ENDING: IDLE LEFT DEADLINE_PASSED
    DRAINING -> STOPPING: STOP_REQUESTED FAULTED HUNG DEADLINE_PASSED DIED
    DRAINING -> EXITED: EXITED
    DRAINING -> BACKOFF: EXITED
    DRAINING -> ERRORED: EXITED
    ENDING -> ENDING: DRAINED FINISHED SERVERS_CLOSED LEFT
    ENDING -> STOPPING: STOP_REQUESTED FAULTED HUNG DEADLINE_PASSED DIED
    ENDING -> EXITED: EXITED
    STOPPING -> STOPPING: DRAIN_REQUESTED STOP_REQUESTED DRAINED FAULTED DEADLINE_PASSED DIED
    STOPPING -> EXITED: EXITED
    STOPPING -> BACKOFF: EXITED
    STOPPING -> ERRORED: EXITED
    STOPPING -> DONE: EXITED
    EXITED -> STARTING: START_REQUESTED
    BACKOFF -> STARTING: DEADLINE_PASSED
    BACKOFF -> EXITED: DRAIN_REQUESTED STOP_REQUESTED
    ERRORED -> EXITED: DRAIN_REQUESTED STOP_REQUESTED
    DONE -> EXITED: DRAIN_REQUESTED STOP_REQUESTED

Where a line offers several states for one event, the record decides. EXITED of a worker that was asked to go leads to
EXITED; of one whose exit code says that its work is done to DONE; of one that was never admitted to EXITED; of any
other one to BACKOFF, or to ERRORED when it has crashed too often or is not to be started again. SERVING is enough to be
ready without `wait_ready`; a worker that was admitted before it crashed is then admitted at once. Only a worker that
drains quietly gets from DRAINING to ENDING.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from ..processes.backoff import after_exit
from .life import (
    SIGNAL_GRACE,
    Admit,
    Discard,
    Drain,
    Effects,
    EndedBy,
    Failure,
    GiveUp,
    KillGroup,
    LetExit,
    Lifecycle,
    LifeEvent,
    LifeEventName,
    Report,
    SendShutdown,
    SendSignal,
    Spawn,
    State,
)

# Of kill_timeout, how much a worker that drains quietly has for its connections; the rest is for its app to end.
QUIET_SHARE = 0.75

Outcome: TypeAlias = tuple[Lifecycle, Effects]
Transition: TypeAlias = Callable[[Lifecycle, LifeEvent, float], Outcome]


def step(life: Lifecycle, event: LifeEvent, now: float) -> Outcome:
    """Return what follows from `event` at `now` (monotonic seconds): the new record and the effects, in order."""
    if event.name is LifeEventName.DEADLINE_PASSED and (life.deadline is None or now < life.deadline):
        return life, ()  # of a deadline that has been moved meanwhile
    return TABLE[life.state, event.name](life, event, now)


def ignore(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """Change nothing: the event is late, repeated, or about something that is so already."""
    return life, ()


def _start(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """EXITED -> STARTING."""
    return _spawn(life, now)


def _restart(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
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


def _note_serving(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    return _ready_if_proven(replace(life, is_serving=True), now)


def _note_ready_said(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    return _ready_if_proven(replace(life, has_said_ready=True), now)


def _ready_if_proven(life: Lifecycle, now: float) -> Outcome:
    """STARTING -> READY; a restarted worker goes on to ADMITTED."""
    if not life.is_serving or (life.rules.wait_ready and not life.has_said_ready):
        return life, ()
    ready = replace(life, state=State.READY, deadline=None, ready_at=now, has_been_ready=True)
    if life.is_trial:
        return ready, (Report("worker_ready"),)
    return _admit_now(ready)


def _admit(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """READY -> ADMITTED."""
    return _admit_now(life)


def _admit_now(life: Lifecycle) -> Outcome:
    return replace(life, state=State.ADMITTED, is_trial=False), (Admit(), Report("worker_admitted"))


def _drain(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """READY, ADMITTED -> DRAINING."""
    is_quiet = life.is_preloaded
    deadline = now + life.rules.kill_timeout * (QUIET_SHARE if is_quiet else 1.0)
    draining = replace(life, state=State.DRAINING, deadline=deadline, is_leaving=True, is_quiet=is_quiet)
    return draining, (Drain(quietly=is_quiet), Report("worker_draining"))


def _let_go(life: Lifecycle, event: LifeEvent, now: float) -> Outcome:
    """READY, ADMITTED -> DRAINING, by its own wish: another takes its place when it has exited."""
    deadline = now + life.rules.kill_timeout
    draining = replace(life, state=State.DRAINING, deadline=deadline, failure=Failure(event.reason))
    return draining, (Drain(by_itself=True), Report("worker_left", reason=event.reason))


def _preloaded(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    return replace(life, is_preloaded=True), ()


def _note_choice(life: Lifecycle, event: LifeEvent, _now: float) -> Outcome:
    """DRAINING: the last word counts."""
    return replace(life, ended_by=CHOICES[event.name]), ()


def _tell_idle(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
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


def _end_draining(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """DRAINING -> ENDING if it is quiet: what is still open is the app's business; else -> STOPPING."""
    if life.is_quiet and not life.is_finished:
        return _tell_end(life, now + _rest_of_kill_timeout(life))
    return _give_up_finishing(life, now)


def _leave_quietly(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """DRAINING -> ENDING: its app has told Node to disconnect; it must not be told again."""
    if not life.is_quiet:
        return life, ()
    assert life.deadline is not None
    deadline = life.deadline + _rest_of_kill_timeout(life)
    ending = replace(life, state=State.ENDING, deadline=deadline, ended_by=EndedBy.DISCONNECT)
    return ending, (Drain(by_itself=True),)


def _note_left(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """ENDING: so its app ends."""
    return life, (Drain(by_itself=True),)


def _let_exit(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """ENDING: after `disconnect` Node closes the channel itself."""
    return life, () if life.ended_by is EndedBy.DISCONNECT else (LetExit(),)


def _note_ended(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """ENDING: its channel is closed. An app that ends by itself is not disturbed again."""
    if life.ended_by is EndedBy.DISCONNECT:
        return _finish(life, now)
    return replace(life, is_finished=True), ()


def _end_ending(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """ENDING -> STOPPING."""
    if life.ended_by is not EndedBy.SIGNAL:
        return _give_up_finishing(life, now)
    killed, effects = _force(replace(life, state=State.STOPPING))
    return killed, effects if life.is_idle else (*effects, _cut_off(life))


def _note_finished(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """DRAINING: its channel is closed."""
    return _finish(life, now)


def _finish(life: Lifecycle, now: float) -> Outcome:
    """An app that holds nothing open exits now by itself."""
    assert life.deadline is not None
    return replace(life, is_finished=True, deadline=min(life.deadline, now + SIGNAL_GRACE)), ()


def _note_drained(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    return replace(life, is_drained=True), ()


def _cancel_start(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """STARTING -> STOPPING: it has no connections that could be drained."""
    stopping, effects = _signal(replace(life, is_leaving=True), life.rules.kill_signal, now)
    return replace(stopping, deadline=now + life.rules.starting_grace), effects


def _leave(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
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


def _give_up_starting(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """STARTING -> STOPPING; the stack on its stderr shows where it waits, if it is of a kind that can tell."""
    missing = life.rules.not_said if life.is_serving else life.rules.not_serving
    failure = Failure(f"{missing} within {life.rules.listen_timeout:g} s: give it longer with --listen-timeout")
    return _signal(replace(life, failure=failure), life.rules.abort_signal, now)


def _note_failed_start(life: Lifecycle, event: LifeEvent, now: float) -> Outcome:
    """STARTING -> STOPPING: it exits by itself, or is helped."""
    failure = Failure(event.reason, event.details, event.is_usage)
    return replace(life, state=State.STOPPING, deadline=now + SIGNAL_GRACE, failure=failure), ()


def _abort(life: Lifecycle, event: LifeEvent, now: float) -> Outcome:
    """READY, ADMITTED, DRAINING -> STOPPING; the stack on its stderr shows where it hangs, as far as its kind can."""
    stopping, effects = _signal(replace(life, failure=Failure(event.reason)), life.rules.abort_signal, now)
    return stopping, (Drain(), *effects, Report("worker_hung", failed=True, reason=event.reason))


def _end_at_once(life: Lifecycle, event: LifeEvent, _now: float) -> Outcome:
    """Living -> STOPPING, by SIGKILL: nothing that it says can be relied on."""
    stopping = replace(life, state=State.STOPPING, deadline=None, failure=Failure(event.reason))
    return stopping, (Drain(by_itself=True), KillGroup(), Report("worker_killed", failed=True, reason=event.reason))


def _await_exit(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """Living -> STOPPING: a dying process closes its channels just before it is seen to exit."""
    stopping = replace(life, state=State.STOPPING, deadline=now + SIGNAL_GRACE)
    return stopping, (Drain(by_itself=True),) if life.has_been_ready else ()


def _signal(life: Lifecycle, signal: str, now: float) -> Outcome:
    return replace(life, state=State.STOPPING, deadline=now + SIGNAL_GRACE), (SendSignal(signal),)


def _kill(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """STOPPING: the grace is over."""
    return _force(life)


def _force(life: Lifecycle) -> Outcome:
    failure = life.failure or Failure("closed its channel to the supervisor and did not exit")
    return replace(life, deadline=None, failure=failure), (KillGroup(), Report("worker_killed", failed=True))


def _stop(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """Living -> STOPPING, by SIGKILL."""
    return replace(life, state=State.STOPPING, deadline=None, is_leaving=True), (KillGroup(),)


def _forget(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """BACKOFF, ERRORED -> EXITED: there is no process to stop."""
    return replace(life, state=State.EXITED, deadline=None, is_leaving=True), ()


def _note_death(life: Lifecycle, _event: LifeEvent, now: float) -> Outcome:
    """Living -> STOPPING: there is nothing left to signal, and how long it lived is certain."""
    return replace(life, state=State.STOPPING, deadline=None, died_at=now), ()


def _exit(life: Lifecycle, event: LifeEvent, now: float) -> Outcome:
    """Living -> EXITED, BACKOFF, ERRORED or DONE."""
    life = replace(life, exit_code=event.exit_code)
    if life.is_leaving:
        return _end(life), (Discard(), Report("worker_exited", reason=event.reason))
    if life.failure is None and life.rules.restart.is_end_of_work(event.exit_code):
        done = replace(life, state=State.DONE, deadline=None, is_trial=False)
        return done, (Discard(), Report("worker_done", reason=event.reason), GiveUp())
    failure = _explained(life.failure, event)
    life = replace(life, failure=failure)
    if life.is_trial:
        return _end(life), (Discard(), Report("worker_start_failed", failed=True, reason=failure.reason))
    crashed = Report("worker_crashed", failed=True, reason=failure.reason)
    if not life.rules.restart.autorestart:
        return replace(life, state=State.ERRORED, deadline=None), (Discard(), crashed, GiveUp())
    return _restart_later(life, crashed, event.jitter, now)


def _restart_later(life: Lifecycle, crashed: Report, jitter: float, now: float) -> Outcome:
    """Living -> BACKOFF, or ERRORED when it has crashed too often."""
    died_at = now if life.died_at is None else life.died_at
    # From ready on: an app that is slow to start and dies at once would otherwise pass for one that has lived.
    uptime = died_at - life.ready_at if life.has_been_ready else None
    verdict = after_exit(life.rules.restart, life.crashes, now=now, uptime=uptime, jitter=jitter)
    life = replace(life, crashes=verdict.history)
    if verdict.delay is None:
        given_up = Report("worker_given_up", failed=True, reason="crashed too often: max_restarts")
        return replace(life, state=State.ERRORED, deadline=None), (Discard(), crashed, given_up, GiveUp())
    return replace(life, state=State.BACKOFF, deadline=now + verdict.delay), (Discard(), crashed)


def _end(life: Lifecycle) -> Lifecycle:
    return replace(life, state=State.EXITED, deadline=None)


def _explained(known: Failure | None, event: LifeEvent) -> Failure:
    """What was known before the exit tells more than the exit; what it printed tells more than nothing."""
    if known is None:
        return Failure(event.reason, event.details, event.is_usage, event.exit_code)
    return replace(known, details=known.details or event.details, exit_code=event.exit_code)


_E = LifeEventName
_S = State

# fmt: off
CHOICES = {
    _E.SIGNAL_CHOSEN: EndedBy.SIGNAL,
    _E.MESSAGE_CHOSEN: EndedBy.MESSAGE,
    _E.NOTHING_CHOSEN: EndedBy.DISCONNECT,
}

# One row an event, one column a state, in this order; `TABLE` joins the two.
_LIVING_STATES = (_S.STARTING, _S.READY, _S.ADMITTED, _S.DRAINING, _S.ENDING, _S.STOPPING)
_LIVING: dict[LifeEventName, tuple[Transition, ...]] = {
    _E.START_REQUESTED: (ignore,             ignore,       ignore,       ignore,         ignore,        ignore),
    _E.SPAWN_FAILED:    (_exit,              ignore,       ignore,       ignore,         ignore,        ignore),
    _E.SERVING:         (_note_serving,      ignore,       ignore,       ignore,         ignore,        ignore),
    _E.READY_SAID:      (_note_ready_said,   ignore,       ignore,       ignore,         ignore,        ignore),
    _E.STARTUP_FAILED:  (_note_failed_start, ignore,       ignore,       ignore,         ignore,        ignore),
    _E.ADMIT_REQUESTED: (ignore,             _admit,       ignore,       ignore,         ignore,        ignore),
    _E.DRAIN_REQUESTED: (_cancel_start,      _drain,       _drain,       _leave,         ignore,        _leave),
    _E.STOP_REQUESTED:  (_stop,              _stop,        _stop,        _stop,          _stop,         _stop),
    _E.DRAINED:         (ignore,             ignore,       ignore,       _note_drained,  _note_drained, _note_drained),
    _E.PRELOADED:       (_preloaded,         _preloaded,   _preloaded,   ignore,         ignore,        ignore),
    _E.SIGNAL_CHOSEN:   (ignore,             ignore,       ignore,       _note_choice,   ignore,        ignore),
    _E.MESSAGE_CHOSEN:  (ignore,             ignore,       ignore,       _note_choice,   ignore,        ignore),
    _E.NOTHING_CHOSEN:  (ignore,             ignore,       ignore,       _note_choice,   ignore,        ignore),
    _E.IDLE:            (ignore,             ignore,       ignore,       _tell_idle,     ignore,        ignore),
    _E.SERVERS_CLOSED:  (ignore,             ignore,       ignore,       ignore,         _let_exit,     ignore),
    _E.LEFT:            (ignore,             _let_go,      _let_go,      _leave_quietly, _note_left,    ignore),
    _E.FINISHED:        (_await_exit,        _await_exit,  _await_exit,  _note_finished, _note_ended,   ignore),
    _E.FAULTED:         (_end_at_once,       _end_at_once, _end_at_once, _end_at_once,   _end_at_once,  _end_at_once),
    _E.HUNG:            (ignore,             _abort,       _abort,       _abort,         _abort,        ignore),
    # A draining worker closes its connection channel when it has read its end.
    _E.CHANNEL_CLOSED:  (_await_exit,        _await_exit,  _await_exit,  ignore,         ignore,        ignore),
    _E.DEADLINE_PASSED: (_give_up_starting,  ignore,       ignore,       _end_draining,  _end_ending,   _kill),
    _E.DIED:            (_note_death,        _note_death,  _note_death,  _note_death,    _note_death,   _note_death),
    _E.EXITED:          (_exit,              _exit,        _exit,        _exit,          _exit,         _exit),
}

_RESTING_STATES = (_S.EXITED, _S.BACKOFF, _S.ERRORED, _S.DONE)
_RESTING: dict[LifeEventName, tuple[Transition, ...]] = {
    _E.START_REQUESTED: (_start, ignore,   ignore,  ignore),
    _E.SPAWN_FAILED:    (ignore, ignore,   ignore,  ignore),
    _E.SERVING:         (ignore, ignore,   ignore,  ignore),
    _E.READY_SAID:      (ignore, ignore,   ignore,  ignore),
    _E.STARTUP_FAILED:  (ignore, ignore,   ignore,  ignore),
    _E.ADMIT_REQUESTED: (ignore, ignore,   ignore,  ignore),
    _E.DRAIN_REQUESTED: (ignore, _forget,  _forget, _forget),
    _E.STOP_REQUESTED:  (ignore, _forget,  _forget, _forget),
    _E.DRAINED:         (ignore, ignore,   ignore,  ignore),
    _E.PRELOADED:       (ignore, ignore,   ignore,  ignore),
    _E.SIGNAL_CHOSEN:   (ignore, ignore,   ignore,  ignore),
    _E.MESSAGE_CHOSEN:  (ignore, ignore,   ignore,  ignore),
    _E.NOTHING_CHOSEN:  (ignore, ignore,   ignore,  ignore),
    _E.IDLE:            (ignore, ignore,   ignore,  ignore),
    _E.SERVERS_CLOSED:  (ignore, ignore,   ignore,  ignore),
    _E.LEFT:            (ignore, ignore,   ignore,  ignore),
    _E.FINISHED:        (ignore, ignore,   ignore,  ignore),
    _E.FAULTED:         (ignore, ignore,   ignore,  ignore),
    _E.HUNG:            (ignore, ignore,   ignore,  ignore),
    _E.CHANNEL_CLOSED:  (ignore, ignore,   ignore,  ignore),
    _E.DEADLINE_PASSED: (ignore, _restart, ignore,  ignore),
    _E.DIED:            (ignore, ignore,   ignore,  ignore),
    _E.EXITED:          (ignore, ignore,   ignore,  ignore),
}
# fmt: on

TABLE: Mapping[tuple[State, LifeEventName], Transition] = {
    (state, event): transition
    for states, rows in ((_LIVING_STATES, _LIVING), (_RESTING_STATES, _RESTING))
    for event, row in rows.items()
    for state, transition in zip(states, row, strict=True)
}
