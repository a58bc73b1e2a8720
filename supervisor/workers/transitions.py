"""Owns which event leads where in every state of a worker's life: one table. Pure: no clock, no I/O.

Runs in the supervisor process. `step` is the only door between states: it takes a record and an event and returns
a record and the effects that the caller must perform, in order; what these are is said in arrival.py, withholding.py,
departure.py and exits.py. Everything that can come of an event is in this list (a test compares it with the table);
whatever is not in it changes nothing:

    STARTING -> STARTING: SERVING READY_SAID UNREADY_SAID CHECK_PASSED CHECK_FAILED PRELOADED RESET
    STARTING -> READY: SERVING READY_SAID CHECK_PASSED
    STARTING -> ADMITTED: SERVING READY_SAID CHECK_PASSED
    STARTING -> STOPPING: STARTUP_FAILED DRAIN_REQUESTED STOP_REQUESTED FINISHED FAULTED CHANNEL_CLOSED
        DEADLINE_PASSED DIED
    STARTING -> EXITED: SPAWN_FAILED EXITED
    STARTING -> BACKOFF: SPAWN_FAILED EXITED
    STARTING -> ERRORED: SPAWN_FAILED EXITED
    STARTING -> DONE: EXITED
    READY -> READY: READY_SAID UNREADY_SAID FELL_ILL RECOVERED PRELOADED RESET
    READY -> ADMITTED: ADMIT_REQUESTED
    READY -> DRAINING: DRAIN_REQUESTED LEFT
    READY -> STOPPING: STOP_REQUESTED FINISHED FAULTED HUNG CHANNEL_CLOSED DIED
    READY -> EXITED: EXITED
    READY -> DONE: EXITED
    ADMITTED -> ADMITTED: READY_SAID UNREADY_SAID FELL_ILL RECOVERED PRELOADED RESET
    ADMITTED -> DRAINING: DRAIN_REQUESTED LEFT
    ADMITTED -> STOPPING: STOP_REQUESTED FINISHED FAULTED HUNG CHANNEL_CLOSED DIED
    ADMITTED -> BACKOFF: EXITED
    ADMITTED -> ERRORED: EXITED
    ADMITTED -> DONE: EXITED
    DRAINING -> DRAINING: DRAIN_REQUESTED DRAINED FINISHED SIGNAL_CHOSEN MESSAGE_CHOSEN NOTHING_CHOSEN RESET
    DRAINING -> ENDING: IDLE LEFT DEADLINE_PASSED
    DRAINING -> STOPPING: STOP_REQUESTED FAULTED HUNG DEADLINE_PASSED DIED
    DRAINING -> EXITED: EXITED
    DRAINING -> BACKOFF: EXITED
    DRAINING -> ERRORED: EXITED
    DRAINING -> DONE: EXITED
    ENDING -> ENDING: DRAINED FINISHED SERVERS_CLOSED LEFT RESET
    ENDING -> STOPPING: STOP_REQUESTED FAULTED HUNG DEADLINE_PASSED DIED
    ENDING -> EXITED: EXITED
    STOPPING -> STOPPING: DRAIN_REQUESTED STOP_REQUESTED DRAINED FAULTED DEADLINE_PASSED DIED RESET
    STOPPING -> EXITED: EXITED
    STOPPING -> BACKOFF: EXITED
    STOPPING -> ERRORED: EXITED
    STOPPING -> DONE: EXITED
    EXITED -> STARTING: START_REQUESTED
    EXITED -> EXITED: RESET
    BACKOFF -> BACKOFF: RESET
    ERRORED -> ERRORED: RESET
    DONE -> DONE: RESET
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

from collections.abc import Mapping

from .arrival import (
    admit,
    note_check_failed,
    note_check_passed,
    note_ready_said,
    note_serving,
    preloaded,
    restart,
    start,
)
from .departure import (
    abort,
    await_exit,
    cancel_start,
    drain,
    end_at_once,
    end_draining,
    end_ending,
    forget,
    give_up_starting,
    kill,
    leave,
    leave_quietly,
    let_exit,
    let_go,
    note_choice,
    note_death,
    note_drained,
    note_ended,
    note_failed_start,
    note_finished,
    note_left,
    stop,
    tell_idle,
)
from .exits import exited, reset
from .life import Lifecycle, LifeEvent, LifeEventName, Outcome, State, Transition
from .withholding import fall_ill, forget_outdated, note_ready_again, note_unready, recover, take_back_word


def step(life: Lifecycle, event: LifeEvent, now: float) -> Outcome:
    """Return what follows from `event` at `now` (monotonic seconds): the new record and the effects, in order."""
    if event.name is LifeEventName.DEADLINE_PASSED and (life.deadline is None or now < life.deadline):
        return life, ()  # of a deadline that has been moved meanwhile
    after, effects = TABLE[life.state, event.name](life, event, now)
    return forget_outdated(after), effects


def ignore(life: Lifecycle, _event: LifeEvent, _now: float) -> Outcome:
    """Change nothing: the event is late, repeated, or about something that is so already."""
    return life, ()


_E = LifeEventName
_S = State

# fmt: off
# One row an event, one column a state, in this order; `TABLE` joins the two.
_LIVING_STATES = (_S.STARTING, _S.READY, _S.ADMITTED, _S.DRAINING, _S.ENDING, _S.STOPPING)
_LIVING: dict[LifeEventName, tuple[Transition, ...]] = {
    _E.START_REQUESTED: (ignore,            ignore,      ignore,      ignore,        ignore,       ignore),
    _E.SPAWN_FAILED:    (exited,            ignore,      ignore,      ignore,        ignore,       ignore),
    _E.SERVING:         (note_serving,      ignore,      ignore,      ignore,        ignore,       ignore),
    _E.READY_SAID:      (note_ready_said,   note_ready_again, note_ready_again, ignore, ignore,    ignore),
    _E.UNREADY_SAID:    (take_back_word,    note_unready, note_unready, ignore,      ignore,       ignore),
    _E.CHECK_PASSED:    (note_check_passed, ignore,      ignore,      ignore,        ignore,       ignore),
    _E.CHECK_FAILED:    (note_check_failed, ignore,      ignore,      ignore,        ignore,       ignore),
    _E.FELL_ILL:        (ignore,            fall_ill,    fall_ill,    ignore,        ignore,       ignore),
    _E.RECOVERED:       (ignore,            recover,     recover,     ignore,        ignore,       ignore),
    _E.STARTUP_FAILED:  (note_failed_start, ignore,      ignore,      ignore,        ignore,       ignore),
    _E.ADMIT_REQUESTED: (ignore,            admit,       ignore,      ignore,        ignore,       ignore),
    _E.DRAIN_REQUESTED: (cancel_start,      drain,       drain,       leave,         ignore,       leave),
    _E.STOP_REQUESTED:  (stop,              stop,        stop,        stop,          stop,         stop),
    _E.DRAINED:         (ignore,            ignore,      ignore,      note_drained,  note_drained, note_drained),
    _E.PRELOADED:       (preloaded,         preloaded,   preloaded,   ignore,        ignore,       ignore),
    _E.SIGNAL_CHOSEN:   (ignore,            ignore,      ignore,      note_choice,   ignore,       ignore),
    _E.MESSAGE_CHOSEN:  (ignore,            ignore,      ignore,      note_choice,   ignore,       ignore),
    _E.NOTHING_CHOSEN:  (ignore,            ignore,      ignore,      note_choice,   ignore,       ignore),
    _E.IDLE:            (ignore,            ignore,      ignore,      tell_idle,     ignore,       ignore),
    _E.SERVERS_CLOSED:  (ignore,            ignore,      ignore,      ignore,        let_exit,     ignore),
    _E.LEFT:            (ignore,            let_go,      let_go,      leave_quietly, note_left,    ignore),
    _E.FINISHED:        (await_exit,        await_exit,  await_exit,  note_finished, note_ended,   ignore),
    _E.FAULTED:         (end_at_once,       end_at_once, end_at_once, end_at_once,   end_at_once,  end_at_once),
    _E.HUNG:            (ignore,            abort,       abort,       abort,         abort,        ignore),
    # A draining worker closes its connection channel when it has read its end.
    _E.CHANNEL_CLOSED:  (await_exit,        await_exit,  await_exit,  ignore,        ignore,       ignore),
    _E.DEADLINE_PASSED: (give_up_starting,  ignore,      ignore,      end_draining,  end_ending,   kill),
    _E.DIED:            (note_death,        note_death,  note_death,  note_death,    note_death,   note_death),
    _E.EXITED:          (exited,            exited,      exited,      exited,        exited,       exited),
    _E.RESET:           (reset,             reset,       reset,       reset,         reset,        reset),
}

_RESTING_STATES = (_S.EXITED, _S.BACKOFF, _S.ERRORED, _S.DONE)
_RESTING: dict[LifeEventName, tuple[Transition, ...]] = {
    _E.START_REQUESTED: (start,  ignore,  ignore, ignore),
    _E.SPAWN_FAILED:    (ignore, ignore,  ignore, ignore),
    _E.SERVING:         (ignore, ignore,  ignore, ignore),
    _E.READY_SAID:      (ignore, ignore,  ignore, ignore),
    _E.UNREADY_SAID:    (ignore, ignore,  ignore, ignore),
    _E.CHECK_PASSED:    (ignore, ignore,  ignore, ignore),
    _E.CHECK_FAILED:    (ignore, ignore,  ignore, ignore),
    _E.FELL_ILL:        (ignore, ignore,  ignore, ignore),
    _E.RECOVERED:       (ignore, ignore,  ignore, ignore),
    _E.STARTUP_FAILED:  (ignore, ignore,  ignore, ignore),
    _E.ADMIT_REQUESTED: (ignore, ignore,  ignore, ignore),
    _E.DRAIN_REQUESTED: (ignore, forget,  forget, forget),
    _E.STOP_REQUESTED:  (ignore, forget,  forget, forget),
    _E.DRAINED:         (ignore, ignore,  ignore, ignore),
    _E.PRELOADED:       (ignore, ignore,  ignore, ignore),
    _E.SIGNAL_CHOSEN:   (ignore, ignore,  ignore, ignore),
    _E.MESSAGE_CHOSEN:  (ignore, ignore,  ignore, ignore),
    _E.NOTHING_CHOSEN:  (ignore, ignore,  ignore, ignore),
    _E.IDLE:            (ignore, ignore,  ignore, ignore),
    _E.SERVERS_CLOSED:  (ignore, ignore,  ignore, ignore),
    _E.LEFT:            (ignore, ignore,  ignore, ignore),
    _E.FINISHED:        (ignore, ignore,  ignore, ignore),
    _E.FAULTED:         (ignore, ignore,  ignore, ignore),
    _E.HUNG:            (ignore, ignore,  ignore, ignore),
    _E.CHANNEL_CLOSED:  (ignore, ignore,  ignore, ignore),
    _E.DEADLINE_PASSED: (ignore, restart, ignore, ignore),
    _E.DIED:            (ignore, ignore,  ignore, ignore),
    _E.EXITED:          (ignore, ignore,  ignore, ignore),
    _E.RESET:           (reset,  reset,   reset,  reset),
}
# fmt: on

TABLE: Mapping[tuple[State, LifeEventName], Transition] = {
    (state, event): transition
    for states, rows in ((_LIVING_STATES, _LIVING), (_RESTING_STATES, _RESTING))
    for event, row in rows.items()
    for state, transition in zip(states, row, strict=True)
}
