"""Owns the record of a worker's life: its states, what can happen to it, what then must be done. Pure.

Runs in the supervisor process. A worker here is a place in the app (a worker id of one generation); when it
crashes, the same worker lives on in a new process. What follows from what is decided in transitions.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from ..processes.backoff import NO_CRASHES, CrashHistory, RestartRules

# From a signal that asks to one that forces.
SIGNAL_GRACE = 1.0

class State(Enum):
    """Where a worker is in its life."""

    STARTING = "starting"  # its process runs and is not ready
    READY = "ready"  # has proven that it can serve, gets no connections yet
    ADMITTED = "admitted"  # in the dispatcher's policy
    DRAINING = "draining"  # out of the policy, finishes what it has
    ENDING = "ending"  # the same, and the app itself was told to end, its servers open
    STOPPING = "stopping"  # was signalled, or is on its way out by itself
    EXITED = "exited"  # no process: not yet started, or done for good
    BACKOFF = "backoff"  # no process: waits for its restart
    ERRORED = "errored"  # no process: crashed too often, given up
    DONE = "done"  # no process: it has done its work, and is not started again


ALIVE = frozenset({State.STARTING, State.READY, State.ADMITTED, State.DRAINING, State.ENDING, State.STOPPING})
# States in which the event loop of a worker must turn.
WATCHED = frozenset({State.READY, State.ADMITTED, State.DRAINING, State.ENDING})
# It rests: nothing starts it again by itself.
AT_REST = frozenset({State.ERRORED, State.DONE})
# It was told to go, or is on its way out: it opens nothing any more.
ON_THE_WAY_OUT = frozenset({State.DRAINING, State.ENDING, State.STOPPING})


class LifeEventName(Enum):
    """What can happen to a worker."""

    START_REQUESTED = auto()
    SPAWN_FAILED = auto()  # no process came to be
    SERVING = auto()  # it says: the app is loaded, connections are read
    READY_SAID = auto()  # the app itself says so
    UNREADY_SAID = auto()  # and takes it back, until it says so again
    STARTUP_FAILED = auto()  # it says why it cannot serve, and exits
    ADMIT_REQUESTED = auto()
    CHECK_PASSED = auto()  # its health check, before it was ready
    CHECK_FAILED = auto()
    FELL_ILL = auto()  # later, it failed its health check: it gets no connections
    RECOVERED = auto()
    DRAIN_REQUESTED = auto()  # the way to stop it
    STOP_REQUESTED = auto()  # at once, without draining
    DRAINED = auto()  # the dispatcher's word: its queue is empty
    PRELOADED = auto()  # it can be drained quietly: it says when it has no connections
    SIGNAL_CHOSEN = auto()  # its app wants to be told by kill_signal to end
    MESSAGE_CHOSEN = auto()  # by the message `shutdown`
    NOTHING_CHOSEN = auto()  # it listens for neither: Node is told to disconnect
    IDLE = auto()  # draining quietly, it has no connections any more; its servers are open
    SERVERS_CLOSED = auto()  # it has closed all of them
    LEFT = auto()  # it leaves by its own wish: gets nothing more, finishes what it has
    FINISHED = auto()  # it has closed its channel: it has no connections any more
    FAULTED = auto()  # it does what no worker may
    HUNG = auto()  # no sign of life, or a request too old
    CHANNEL_CLOSED = auto()  # one of its channels is broken
    DEADLINE_PASSED = auto()  # the record's `deadline`
    DIED = auto()  # its process is reaped; its last output is still being read
    EXITED = auto()  # that has been read, too
    RESET = auto()  # its restarts and crashes are to count for nothing any more


@dataclass(frozen=True)
class LifeEvent:
    """One event.

    Attributes:
        reason: a phrase for people.
        details: a traceback, or the end of stderr.
        is_usage: what the user asked for is wrong, not the app's code.
        jitter: a random number in 0..1.
        exit_code: of EXITED, as a shell has it: 128 and more for a signal.
        is_killed: of EXITED, by a signal: the exit code is none of the program's own.
    """

    name: LifeEventName
    reason: str = ""
    details: str = ""
    is_usage: bool = False
    jitter: float = 0.0
    exit_code: int | None = None
    is_killed: bool = False


class EndedBy(Enum):
    """How a worker that drained quietly is told to end."""

    DISCONNECT = auto()  # Node's own word: it closes the servers, then the channel
    SIGNAL = auto()
    MESSAGE = auto()


@dataclass(frozen=True)
class Spawn:
    """Start a process for the worker."""


@dataclass(frozen=True)
class Admit:
    """Let the worker's process have connections."""


@dataclass(frozen=True)
class Withdraw:
    """Let the worker's process have no connections for now; it is told nothing, and may be admitted again."""


@dataclass(frozen=True)
class Drain:
    """Let the worker's process have no more connections; it is told to finish now, or later if `quietly`.

    Not if it leaves `by_itself`.
    """

    by_itself: bool = False
    quietly: bool = False


@dataclass(frozen=True)
class SendShutdown:
    """Send the worker's app the message `shutdown`."""


@dataclass(frozen=True)
class LetExit:
    """Let nothing of ours keep the worker's process alive: its app has closed its servers."""


@dataclass(frozen=True)
class SendSignal:
    """Send this signal (its name) to the worker's process alone."""

    signal: str


@dataclass(frozen=True)
class KillGroup:
    """SIGKILL the worker's process and everything in its process group."""


@dataclass(frozen=True)
class GiveUp:
    """Nobody starts the worker again by himself: see whether another is left."""


@dataclass(frozen=True)
class Discard:
    """Forget the worker's process, which is gone, and close what is held of it."""


@dataclass(frozen=True)
class Report:
    """Write an event to the log. `failed`: something went wrong. `restart_in`: seconds to the worker's next start."""

    event: str
    failed: bool = False
    reason: str = ""
    restart_in: float | None = None


Effect: TypeAlias = (
    Spawn | Admit | Withdraw | Drain | SendShutdown | LetExit | SendSignal | KillGroup | Discard | GiveUp | Report
)
Effects: TypeAlias = tuple[Effect, ...]


@dataclass(frozen=True)
class Failure:
    """Why a worker failed; fields as in LifeEvent. `is_own_wish`: it left, which is no failure if its exit is none."""

    reason: str
    details: str = ""
    is_usage: bool = False
    exit_code: int | None = None
    is_own_wish: bool = False


@dataclass(frozen=True)
class LifecycleRules:
    """What decides about a life: settings, by their names in AppConfig, and what the worker's kind says of itself.

    Attributes:
        not_serving, not_said, abort_signal: as in WorkerTraits.
        has_health_check: it must pass one before it is ready.
        starting_grace: seconds from the signal that cancels a start to SIGKILL.
    """

    listen_timeout: float
    kill_timeout: float
    kill_signal: str
    wait_ready: bool
    restart: RestartRules
    not_serving: str
    not_said: str
    abort_signal: str
    starting_grace: float = SIGNAL_GRACE
    has_health_check: bool = False


@dataclass(frozen=True)
class Lifecycle:
    """The record of one worker's life.

    Attributes:
        rules: the settings.
        state: where it is; what leads from one to another is listed in transitions.py.
        deadline: monotonic seconds at which DEADLINE_PASSED is due; None: never.
        ready_at, died_at: when the last process was ready, and reaped.
        is_trial: was never admitted: a failure ends it, and whoever started it decides what follows.
        is_leaving: was asked to go: its end is no crash.
        is_serving, has_said_ready: what its process has proven so far.
        has_been_ready: its process was ready.
        is_unready: it has taken its word back since: admitted or not, it gets no connections.
        has_passed_check: it has passed its health check once.
        ailment: why it has not.
        is_ill: it fails it now: admitted or not, it gets no connections.
        is_drained: the dispatcher has no more connections for it.
        is_finished: it has none left itself.
        is_preloaded: its process can drain quietly.
        is_quiet: it drains so; it will be told to end.
        ended_by: by what.
        is_idle: it had no connections when it was.
        failure: the last failure.
        exit_code: of its last process, once that has ended.
        restarts: processes that replaced crashed ones.
        crashes: what bounds them.
    """

    rules: LifecycleRules
    state: State = State.EXITED
    deadline: float | None = None
    ready_at: float = 0.0
    died_at: float | None = None
    is_trial: bool = True
    is_leaving: bool = False
    is_serving: bool = False
    has_said_ready: bool = False
    has_been_ready: bool = False
    is_unready: bool = False
    has_passed_check: bool = False
    ailment: str = ""
    is_ill: bool = False
    is_drained: bool = False
    is_finished: bool = False
    is_preloaded: bool = False
    is_quiet: bool = False
    ended_by: EndedBy = EndedBy.DISCONNECT
    is_idle: bool = False
    failure: Failure | None = None
    exit_code: int | None = None
    restarts: int = 0
    crashes: CrashHistory = NO_CRASHES

    @property
    def is_withheld(self) -> bool:
        """Whether it gets no connections for now, although it has been ready."""
        return self.is_unready or self.is_ill

    @property
    def awaits_check(self) -> bool:
        """Whether nothing but its health check is missing for it to be ready."""
        has_said = self.has_said_ready or not self.rules.wait_ready
        return self.state is State.STARTING and self.is_serving and has_said

    @property
    def gets_connections(self) -> bool:
        """Whether it is in the policy."""
        return self.state is State.ADMITTED and not self.is_withheld


# What follows from an event, and the function of a place in the table that says so; the time is in monotonic seconds.
Outcome: TypeAlias = tuple[Lifecycle, Effects]
Transition: TypeAlias = Callable[[Lifecycle, LifeEvent, float], Outcome]
