"""Owns the life of a worker: one table that decides every (state, event) pair. Pure: no clock, no I/O.

Runs in the supervisor process. A worker here is a place in the app (a worker id of one generation); when it
crashes, the same worker lives on in a new process. `step` is the only door between states: it takes a record
and an event and returns a record and the effects that the caller must perform, in order.

    START_REQUESTED            SERVING (and READY_SAID       ADMIT_REQUESTED
          |                     if wait_ready)                  |
          v                        |                            v
       STARTING -----------------> v ----------> READY ---> ADMITTED
        ^  |  |                                    |          |  |
        |  |  |  STARTUP_FAILED, DEADLINE_PASSED,  |          |  | DRAIN_REQUESTED
        |  |  |  DRAIN_REQUESTED, CHANNEL_CLOSED   |          |  v
        |  |  +---------------------> STOPPING <---|----------| DRAINING
        |  |                            |   HUNG, CHANNEL_CLOSED  |  DEADLINE_PASSED: STOPPING
        |  | EXITED                     | EXITED                  |
        |  v                            v                         v
        | BACKOFF or ERRORED: it was admitted once, and nobody asked it to go
        |  |   EXITED: it was asked to go, or it failed before it was admitted (its `failure` says why)
        +--+ DEADLINE_PASSED

DIED leads from every living state to STOPPING: EXITED follows as soon as its last output is read.
STOP_REQUESTED leads from everywhere to STOPPING, at once and by SIGKILL. A worker that was admitted once and
is restarted is admitted again as soon as it is ready.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeAlias

from ..processes.backoff import NO_CRASHES, CrashHistory, RestartRules, after_exit

# From a signal that asks to one that forces.
SIGNAL_GRACE = 1.0


class State(Enum):
    """Where a worker is in its life."""

    STARTING = "starting"  # its process runs and is not ready
    READY = "ready"  # has proven that it can serve, gets no connections yet
    ADMITTED = "admitted"  # in the dispatcher's policy
    DRAINING = "draining"  # out of the policy, finishes what it has
    STOPPING = "stopping"  # was signalled, or is on its way out by itself
    EXITED = "exited"  # no process: not yet started, or done for good
    BACKOFF = "backoff"  # no process: waits for its restart
    ERRORED = "errored"  # no process: crashed too often, given up


ALIVE = frozenset({State.STARTING, State.READY, State.ADMITTED, State.DRAINING, State.STOPPING})
# States in which the event loop of a worker must turn.
WATCHED = frozenset({State.READY, State.ADMITTED, State.DRAINING})


class EventName(Enum):
    """What can happen to a worker."""

    START_REQUESTED = auto()
    SPAWN_FAILED = auto()  # no process came to be
    SERVING = auto()  # it says: the app is loaded, connections are read
    READY_SAID = auto()  # the app itself says so
    STARTUP_FAILED = auto()  # it says why it cannot serve, and exits
    ADMIT_REQUESTED = auto()
    DRAIN_REQUESTED = auto()  # the way to stop it
    STOP_REQUESTED = auto()  # at once, without draining
    DRAINED = auto()  # the dispatcher's word: its queue is empty
    LEFT = auto()  # it leaves by its own wish: gets nothing more, finishes what it has
    FINISHED = auto()  # it has closed its channel: it has no connections any more
    FAULTED = auto()  # it does what no worker may
    HUNG = auto()  # no sign of life, or a request too old
    CHANNEL_CLOSED = auto()  # one of its channels is broken
    DEADLINE_PASSED = auto()  # the record's `deadline`
    DIED = auto()  # its process is reaped; its last output is still being read
    EXITED = auto()  # that has been read, too


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        reason: a phrase for people.
        details: a traceback, or the end of stderr.
        is_usage: what the user asked for is wrong, not the app's code.
        jitter: a random number in 0..1.
    """

    name: EventName
    reason: str = ""
    details: str = ""
    is_usage: bool = False
    jitter: float = 0.0


@dataclass(frozen=True)
class Spawn:
    """Start a process for it."""


@dataclass(frozen=True)
class Admit:
    """Bring it into the dispatcher's policy."""


@dataclass(frozen=True)
class Drain:
    """Take it out of the policy and tell it to finish, unless it leaves `by_itself`."""

    by_itself: bool = False


@dataclass(frozen=True)
class SendSignal:
    """Send this signal (its name) to its process alone."""

    signal: str


@dataclass(frozen=True)
class KillGroup:
    """SIGKILL its process and everything in its process group."""


@dataclass(frozen=True)
class Discard:
    """Its process is gone: forget it in the dispatcher, close what we hold of it."""


@dataclass(frozen=True)
class Report:
    """Write an event to the log. `failed`: something went wrong."""

    event: str
    failed: bool = False
    reason: str = ""


Effect: TypeAlias = Spawn | Admit | Drain | SendSignal | KillGroup | Discard | Report
Effects: TypeAlias = tuple[Effect, ...]


@dataclass(frozen=True)
class Failure:
    """Why a worker failed; fields as in Event."""

    reason: str
    details: str = ""
    is_usage: bool = False


@dataclass(frozen=True)
class Kind:
    """How workers of this kind differ for those who lead them.

    Attributes:
        not_serving, not_said: what one has failed to do that is not ready in time.
        abort_signal: ends one that hangs; for Python it also shows where, on its stderr.
    """

    not_serving: str = "was not ready"
    not_said: str = "did not call fastlb.worker.ready()"
    abort_signal: str = "SIGABRT"


@dataclass(frozen=True)
class LifecycleRules:
    """The settings that decide about a life, by their names in AppConfig."""

    listen_timeout: float
    kill_timeout: float
    kill_signal: str
    wait_ready: bool
    restart: RestartRules
    kind: Kind = Kind()


@dataclass(frozen=True)
class Lifecycle:
    """The record of one worker's life.

    Attributes:
        rules: the settings.
        state: see the diagram.
        deadline: monotonic seconds at which DEADLINE_PASSED is due; None: never.
        spawned_at, died_at: when the last process was started, and reaped.
        is_trial: was never admitted: a failure ends it, and whoever started it decides what follows.
        is_leaving: was asked to go: its end is no crash.
        is_serving, has_said_ready: what its process has proven so far.
        has_been_ready: its process was ready.
        is_drained: the dispatcher has no more connections for it.
        is_finished: it has none left itself.
        failure: the last failure.
        restarts: processes that replaced crashed ones.
        crashes: what bounds them.
    """

    rules: LifecycleRules
    state: State = State.EXITED
    deadline: float | None = None
    spawned_at: float = 0.0
    died_at: float | None = None
    is_trial: bool = True
    is_leaving: bool = False
    is_serving: bool = False
    has_said_ready: bool = False
    has_been_ready: bool = False
    is_drained: bool = False
    is_finished: bool = False
    failure: Failure | None = None
    restarts: int = 0
    crashes: CrashHistory = NO_CRASHES


Outcome: TypeAlias = tuple[Lifecycle, Effects]
Transition: TypeAlias = Callable[[Lifecycle, Event, float], Outcome]


def step(life: Lifecycle, event: Event, now: float) -> Outcome:
    """What follows from `event` at `now` (monotonic seconds): the new record and the effects, in order."""
    if event.name is EventName.DEADLINE_PASSED and (life.deadline is None or now < life.deadline):
        return life, ()  # of a deadline that has been moved meanwhile
    return TABLE[life.state, event.name](life, event, now)


def ignore(life: Lifecycle, _event: Event, _now: float) -> Outcome:
    """Nothing follows: the event is late, repeated, or about something that is so already."""
    return life, ()


def _start(life: Lifecycle, _event: Event, now: float) -> Outcome:
    """EXITED, BACKOFF -> STARTING."""
    started = replace(
        life,
        state=State.STARTING,
        deadline=now + life.rules.listen_timeout,
        spawned_at=now,
        died_at=None,
        is_serving=False,
        has_said_ready=False,
        has_been_ready=False,
        is_drained=False,
        is_finished=False,
        failure=None,
    )
    return started, (Spawn(),)


def _restart(life: Lifecycle, event: Event, now: float) -> Outcome:
    """BACKOFF -> STARTING."""
    return _start(replace(life, restarts=life.restarts + 1), event, now)


def _note_serving(life: Lifecycle, _event: Event, _now: float) -> Outcome:
    return _ready_if_proven(replace(life, is_serving=True))


def _note_ready_said(life: Lifecycle, _event: Event, _now: float) -> Outcome:
    return _ready_if_proven(replace(life, has_said_ready=True))


def _ready_if_proven(life: Lifecycle) -> Outcome:
    """STARTING -> READY; a restarted worker goes on to ADMITTED."""
    if not life.is_serving or (life.rules.wait_ready and not life.has_said_ready):
        return life, ()
    ready = replace(life, state=State.READY, deadline=None, has_been_ready=True)
    if life.is_trial:
        return ready, (Report("worker_ready"),)
    return _admit_now(ready)


def _admit(life: Lifecycle, _event: Event, _now: float) -> Outcome:
    """READY -> ADMITTED."""
    return _admit_now(life)


def _admit_now(life: Lifecycle) -> Outcome:
    return replace(life, state=State.ADMITTED, is_trial=False), (Admit(), Report("worker_admitted"))


def _drain(life: Lifecycle, _event: Event, now: float) -> Outcome:
    """READY, ADMITTED -> DRAINING."""
    deadline = now + life.rules.kill_timeout
    draining = replace(life, state=State.DRAINING, deadline=deadline, is_leaving=True)
    return draining, (Drain(), Report("worker_draining"))


def _let_go(life: Lifecycle, event: Event, now: float) -> Outcome:
    """READY, ADMITTED -> DRAINING, by its own wish: another takes its place when it has exited."""
    deadline = now + life.rules.kill_timeout
    draining = replace(life, state=State.DRAINING, deadline=deadline, failure=Failure(event.reason))
    return draining, (Drain(by_itself=True), Report("worker_left", reason=event.reason))


def _note_finished(life: Lifecycle, _event: Event, now: float) -> Outcome:
    """DRAINING: an app that holds nothing open exits now by itself."""
    assert life.deadline is not None
    return replace(life, is_finished=True, deadline=min(life.deadline, now + SIGNAL_GRACE)), ()


def _note_drained(life: Lifecycle, _event: Event, _now: float) -> Outcome:
    return replace(life, is_drained=True), ()


def _cancel_start(life: Lifecycle, _event: Event, now: float) -> Outcome:
    """STARTING -> STOPPING: it has no connections that could be drained."""
    return _signal(replace(life, is_leaving=True), life.rules.kill_signal, now)


def _leave(life: Lifecycle, _event: Event, _now: float) -> Outcome:
    """DRAINING, STOPPING: whatever made it go, it will not come back."""
    return replace(life, is_leaving=True), ()


def _give_up_finishing(life: Lifecycle, _event: Event, now: float) -> Outcome:
    """DRAINING -> STOPPING."""
    stopping, effects = _signal(life, life.rules.kill_signal, now)
    if life.is_finished:  # it has no client left to wait for: it may take its time to clean up
        return replace(stopping, deadline=now + max(life.rules.kill_timeout, SIGNAL_GRACE)), effects
    reason = f"not finished within kill_timeout ({life.rules.kill_timeout:g} s)"
    return stopping, (*effects, Report("worker_cut_off", failed=True, reason=reason))


def _give_up_starting(life: Lifecycle, _event: Event, now: float) -> Outcome:
    """STARTING -> STOPPING; the stack on its stderr shows where it waits, if it is of a kind that can tell."""
    missing = life.rules.kind.not_said if life.is_serving else life.rules.kind.not_serving
    failure = Failure(f"{missing} within {life.rules.listen_timeout:g} s: give it longer with --listen-timeout")
    return _signal(replace(life, failure=failure), life.rules.kind.abort_signal, now)


def _note_startup_failed(life: Lifecycle, event: Event, now: float) -> Outcome:
    """STARTING -> STOPPING: it exits by itself, or is helped."""
    failure = Failure(event.reason, event.details, event.is_usage)
    return replace(life, state=State.STOPPING, deadline=now + SIGNAL_GRACE, failure=failure), ()


def _abort(life: Lifecycle, event: Event, now: float) -> Outcome:
    """READY, ADMITTED, DRAINING -> STOPPING; the stack on its stderr shows where it hangs, as far as its kind can."""
    stopping, effects = _signal(replace(life, failure=Failure(event.reason)), life.rules.kind.abort_signal, now)
    return stopping, (Drain(), *effects, Report("worker_hung", failed=True, reason=event.reason))


def _end_at_once(life: Lifecycle, event: Event, _now: float) -> Outcome:
    """Living -> STOPPING, by SIGKILL: nothing that it says can be relied on."""
    stopping = replace(life, state=State.STOPPING, deadline=None, failure=Failure(event.reason))
    return stopping, (Drain(by_itself=True), KillGroup(), Report("worker_killed", failed=True, reason=event.reason))


def _await_exit(life: Lifecycle, _event: Event, now: float) -> Outcome:
    """Living -> STOPPING: a dying process closes its channels just before it is seen to exit."""
    stopping = replace(life, state=State.STOPPING, deadline=now + SIGNAL_GRACE)
    return stopping, (Drain(by_itself=True),) if life.has_been_ready else ()


def _signal(life: Lifecycle, signal: str, now: float) -> Outcome:
    return replace(life, state=State.STOPPING, deadline=now + SIGNAL_GRACE), (SendSignal(signal),)


def _kill(life: Lifecycle, _event: Event, _now: float) -> Outcome:
    """STOPPING: the grace is over."""
    failure = life.failure or Failure("closed its channel to the supervisor and did not exit")
    return replace(life, deadline=None, failure=failure), (KillGroup(), Report("worker_killed", failed=True))


def _stop(life: Lifecycle, _event: Event, _now: float) -> Outcome:
    """Living -> STOPPING, by SIGKILL."""
    return replace(life, state=State.STOPPING, deadline=None, is_leaving=True), (KillGroup(),)


def _dismiss(life: Lifecycle, _event: Event, _now: float) -> Outcome:
    """BACKOFF, ERRORED -> EXITED: there is no process to stop."""
    return replace(life, state=State.EXITED, deadline=None, is_leaving=True), ()


def _note_death(life: Lifecycle, _event: Event, now: float) -> Outcome:
    """Living -> STOPPING: there is nothing left to signal, and how long it lived is certain."""
    return replace(life, state=State.STOPPING, deadline=None, died_at=now), ()


def _bury(life: Lifecycle, event: Event, now: float) -> Outcome:
    """Living -> EXITED, BACKOFF or ERRORED."""
    if life.is_leaving:
        return _end(life), (Discard(), Report("worker_exited", reason=event.reason))
    failure = _explained(life.failure, event)
    life = replace(life, failure=failure)
    if life.is_trial:
        return _end(life), (Discard(), Report("worker_start_failed", failed=True, reason=failure.reason))
    died_at = now if life.died_at is None else life.died_at
    uptime = died_at - life.spawned_at if life.has_been_ready else None
    verdict = after_exit(life.rules.restart, life.crashes, now=now, uptime=uptime, jitter=event.jitter)
    crashed = Report("worker_crashed", failed=True, reason=failure.reason)
    life = replace(life, crashes=verdict.history)
    if verdict.delay is None:
        given_up = Report("worker_given_up", failed=True, reason="crashed too often: max_restarts")
        return replace(life, state=State.ERRORED, deadline=None), (Discard(), crashed, given_up)
    return replace(life, state=State.BACKOFF, deadline=now + verdict.delay), (Discard(), crashed)


def _end(life: Lifecycle) -> Lifecycle:
    return replace(life, state=State.EXITED, deadline=None)


def _explained(known: Failure | None, event: Event) -> Failure:
    """What was known before the exit tells more than the exit; what it printed tells more than nothing."""
    if known is None:
        return Failure(event.reason, event.details, event.is_usage)
    return replace(known, details=known.details or event.details)


_E = EventName
_S = State

# fmt: off
# One row an event, one column a state, in this order; `TABLE` joins the two.
_LIVING_STATES = (_S.STARTING, _S.READY, _S.ADMITTED, _S.DRAINING, _S.STOPPING)
_LIVING: dict[EventName, tuple[Transition, ...]] = {
    _E.START_REQUESTED: (ignore,               ignore,      ignore,      ignore,              ignore),
    _E.SPAWN_FAILED:    (_bury,                ignore,      ignore,      ignore,              ignore),
    _E.SERVING:         (_note_serving,        ignore,      ignore,      ignore,              ignore),
    _E.READY_SAID:      (_note_ready_said,     ignore,      ignore,      ignore,              ignore),
    _E.STARTUP_FAILED:  (_note_startup_failed, ignore,      ignore,      ignore,              ignore),
    _E.ADMIT_REQUESTED: (ignore,               _admit,      ignore,      ignore,              ignore),
    _E.DRAIN_REQUESTED: (_cancel_start,        _drain,      _drain,      _leave,              _leave),
    _E.STOP_REQUESTED:  (_stop,                _stop,       _stop,       _stop,               _stop),
    _E.DRAINED:         (ignore,               ignore,      ignore,      _note_drained,       _note_drained),
    _E.LEFT:            (ignore,               _let_go,     _let_go,     ignore,              ignore),
    _E.FINISHED:        (_await_exit,          _await_exit, _await_exit, _note_finished,      ignore),
    _E.FAULTED:         (_end_at_once,         _end_at_once, _end_at_once, _end_at_once,      _end_at_once),
    _E.HUNG:            (ignore,               _abort,      _abort,      _abort,              ignore),
    # A draining worker closes its connection channel when it has read its end.
    _E.CHANNEL_CLOSED:  (_await_exit,          _await_exit, _await_exit, ignore,              ignore),
    _E.DEADLINE_PASSED: (_give_up_starting,    ignore,      ignore,      _give_up_finishing,  _kill),
    _E.DIED:            (_note_death,          _note_death, _note_death, _note_death,         _note_death),
    _E.EXITED:          (_bury,                _bury,       _bury,       _bury,               _bury),
}

_RESTING_STATES = (_S.EXITED, _S.BACKOFF, _S.ERRORED)
_RESTING: dict[EventName, tuple[Transition, ...]] = {
    _E.START_REQUESTED: (_start, ignore,   ignore),
    _E.SPAWN_FAILED:    (ignore, ignore,   ignore),
    _E.SERVING:         (ignore, ignore,   ignore),
    _E.READY_SAID:      (ignore, ignore,   ignore),
    _E.STARTUP_FAILED:  (ignore, ignore,   ignore),
    _E.ADMIT_REQUESTED: (ignore, ignore,   ignore),
    _E.DRAIN_REQUESTED: (ignore, _dismiss, _dismiss),
    _E.STOP_REQUESTED:  (ignore, _dismiss, _dismiss),
    _E.DRAINED:         (ignore, ignore,   ignore),
    _E.LEFT:            (ignore, ignore,   ignore),
    _E.FINISHED:        (ignore, ignore,   ignore),
    _E.FAULTED:         (ignore, ignore,   ignore),
    _E.HUNG:            (ignore, ignore,   ignore),
    _E.CHANNEL_CLOSED:  (ignore, ignore,   ignore),
    _E.DEADLINE_PASSED: (ignore, _restart, ignore),
    _E.DIED:            (ignore, ignore,   ignore),
    _E.EXITED:          (ignore, ignore,   ignore),
}
# fmt: on

TABLE: Mapping[tuple[State, EventName], Transition] = {
    (state, event): transition
    for states, rows in ((_LIVING_STATES, _LIVING), (_RESTING_STATES, _RESTING))
    for event, row in rows.items()
    for state, transition in zip(states, row, strict=True)
}
