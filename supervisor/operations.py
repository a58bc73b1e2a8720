"""Owns what is being done to an app: at most one operation at a time, and which ones wait.

Runs in the supervisor process. An operation runs to its end although whoever asked for it has hung up; only a stop
cancels it. What cannot begin at once waits, for all askers in one queue: a person at a terminal (`run`) goes before
whatever asks by itself or by a signal (`ask`), and what is asked for twice is done once. The log says who asked.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, TypeAlias, TypeVar

from .control.protocol import AppStatus, OperationEntry
from .errors import BusyError, FastlbError, UsageError
from .output.event_log import EventLog

T = TypeVar("T")

MOST_WAITING = 16
PERSON = "person"
STOPPED = "the app is being stopped"


class Operation(Enum):
    """What can be done to an app.

    Attributes:
        verb: its name in sentences and in the log: "reload", "reload_begun".
        status: the app's word in `list` meanwhile; None: the same as without it.
    """

    START = ("start", "starting")
    STOP = ("stop", "stopping")
    RESTART = ("restart", "starting")
    RELOAD = ("reload", "reloading")
    CANARY = ("canary", "reloading")  # a reload that begins with a trial
    UPDATE = ("update", "reloading")  # another supervisor takes the place of this one
    SCALE = ("scale", None)
    RETRY = ("retry", None)  # workers that were given up
    SET = ("set", None)
    REPLACE = ("replace", None)  # some workers, by new ones of the same generation

    def __init__(self, verb: str, status: AppStatus | None) -> None:
        self.verb = verb
        self.status = status


@dataclass(frozen=True)
class OperationRequest:
    """What somebody wants to be done.

    Attributes:
        operation: what to do.
        by: who asks, for the log: "signal SIGHUP", PERSON.
        change: of SCALE: how many workers more, or fewer if negative.
        is_particular: it says more than its operation does, as which workers or how many.
    """

    operation: Operation
    by: str
    change: int = 0
    is_particular: bool = False

    def is_same_as(self, other: "OperationRequest") -> bool:
        """Whether both are fulfilled when one of them is carried out."""
        is_general = not any((self.change, other.change, self.is_particular, other.is_particular))
        return self.operation is other.operation and is_general


Work: TypeAlias = Callable[[], Coroutine[Any, Any, T]]


@dataclass
class _Waiting:
    """`outcome`: of its work, for the persons who wait for it; None: nobody at a terminal does."""

    request: OperationRequest
    work: Work[Any]
    outcome: "asyncio.Future[Any] | None" = None


class Operations:
    """The operation that runs now, if any, and those that wait.

    `failure`: why the last one failed; "" if it did not. `on_change`: called when another one runs, or none any more.
    """

    def __init__(self, log: EventLog) -> None:
        self.failure = ""
        self.on_change: Callable[[], None] = lambda: None
        self._log = log
        self._running: Operation | None = None
        self._request: OperationRequest | None = None  # what runs was asked for by
        self._task: asyncio.Task[Any] | None = None
        self._waiting: deque[_Waiting] = deque()

    @property
    def current(self) -> Operation | None:
        """The operation that runs; STOP for good once the app is being stopped; None: nothing is being done to it."""
        return self._running

    @property
    def waiting(self) -> list[OperationRequest]:
        """The requests that wait, in the order in which they will be carried out."""
        return [waiting.request for waiting in self._waiting]

    def entries(self) -> list[OperationEntry]:
        """Return what runs and what waits, for `list` and `show`."""
        running = [self._request] if self._request and self._task else []
        return [
            OperationEntry(request.operation.verb, request.by, "waits" if at >= len(running) else "runs")
            for at, request in enumerate((*running, *self.waiting))
        ]

    async def run(
        self, request: OperationRequest, work: Work[T], on_waiting: Callable[[str], None] = lambda text: None
    ) -> T:
        """Run an operation for a person, now or as the next; return its result.

        `on_waiting` is told what it has to wait for.

        Raises:
            BusyError: the app is being stopped, or too many operations wait.
            FastlbError: it failed, or was cancelled because the app is being stopped.
        """
        operation = request.operation
        if self._running is Operation.STOP:
            raise BusyError(f"cannot {operation.verb}: a stop of this app is under way; try again after it")
        if self._running:
            on_waiting(f"waiting for the {self._running.verb} that is under way")
            outcome = self._wait_in_front(request, work)
        else:
            outcome = self._begin(request, work)
        try:
            result: T = await asyncio.shield(outcome)
        except asyncio.CancelledError:
            if self.current is Operation.STOP:
                raise _cancelled(operation, STOPPED) from None
            raise
        return result

    def _wait_in_front(self, request: OperationRequest, work: Work[T]) -> "asyncio.Future[T]":
        """Have a person's request wait before all that nobody waits for; return its outcome."""
        same = next((waiting for waiting in self._waiting if waiting.request.is_same_as(request)), None)
        if same and same.outcome:
            return same.outcome
        if same:
            self._waiting.remove(same)
        elif len(self._waiting) >= MOST_WAITING:
            raise BusyError(f"cannot {request.operation.verb}: {MOST_WAITING} operations wait already; try again later")
        assert self._running is not None
        self._log.info(f"{request.operation.verb}_waits", by=request.by, behind=self._running.verb)
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(_note_outcome)
        persons = sum(waiting.outcome is not None for waiting in self._waiting)
        self._waiting.insert(persons, _Waiting(request, work, outcome))
        return outcome

    def ask(self, request: OperationRequest, work: Work[Any]) -> bool:
        """Have an operation done, now or when its turn comes; the log alone is told how it goes.

        Returns whether it will be done, by this request or by one that is the same and waits already. One that finds
        too many waiting, or the app being stopped, is dropped.
        """
        verb = request.operation.verb
        self._log.info(f"{verb}_asked", by=request.by)
        if self._running is None:
            self._begin(request, work)
        elif self._running is Operation.STOP:
            self._drop(request, STOPPED)
        elif any(request.is_same_as(other) for other in self.waiting):
            self._log.info(f"{verb}_dropped", by=request.by, reason=f"another {verb} waits already")
        elif len(self._waiting) >= MOST_WAITING:
            self._drop(request, f"{MOST_WAITING} operations wait already")
            return False
        else:
            self._log.info(f"{verb}_waits", by=request.by, behind=self._running.verb)
            self._waiting.append(_Waiting(request, work))
        return self._running is not Operation.STOP

    def close(self, reason: str = STOPPED) -> None:
        """Cancel what runs and what waits, for a reason, and allow nothing more."""
        self._running = Operation.STOP
        while self._waiting:
            waiting = self._waiting.popleft()
            self._drop(waiting.request, reason)
            if waiting.outcome and not waiting.outcome.done():
                waiting.outcome.set_exception(_cancelled(waiting.request.operation, reason))
        if self._task:
            self._task.cancel()

    async def wait_until_idle(self) -> None:
        """Wait until nothing runs any more; call it after `close`."""
        if self._task:
            await asyncio.wait({self._task})

    def _begin(self, request: OperationRequest, work: Work[T]) -> "asyncio.Task[T]":
        """Start the task of an operation."""
        self._running, self._request = request.operation, request
        names = {} if request.by == PERSON else {"by": request.by}
        self._task = task = asyncio.create_task(self._logged(request.operation.verb, work, names))
        task.add_done_callback(self._on_done)
        self.on_change()
        return task

    async def _logged(self, verb: str, work: Work[T], names: dict[str, str]) -> T:
        self._log.info(f"{verb}_begun", **names)
        try:
            result = await work()
        except FastlbError as error:
            if not isinstance(error, UsageError):  # else nothing was tried
                self.failure = f"{verb}: {error.message}"
            self._log.error(f"{verb}_failed", **names, reason=error.message, **_details(error, names))
            raise
        except asyncio.CancelledError:
            self._log.warning(f"{verb}_cancelled", **names)
            raise
        self.failure = ""
        self._log.info(f"{verb}_done", **names)
        return result

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            task.exception()  # whoever asked may have hung up; the log has the failure all the same
        self._task = None
        if self._running is Operation.STOP:
            return
        self._running = self._request = None
        if self._waiting:
            waiting = self._waiting.popleft()
            begun = self._begin(waiting.request, waiting.work)
            if waiting.outcome:
                begun.add_done_callback(partial(_pass_on, waiting.outcome))
        else:
            self.on_change()

    def _drop(self, request: OperationRequest, reason: str) -> None:
        self._log.warning(f"{request.operation.verb}_dropped", by=request.by, reason=reason)


def _details(error: FastlbError, names: dict[str, str]) -> dict[str, str]:
    """Return what a person at a terminal would be shown."""
    return {"details": error.details} if names and error.details else {}


def _cancelled(operation: Operation, reason: str) -> FastlbError:
    return FastlbError(f"the {operation.verb} was cancelled, because {reason}")


def _pass_on(outcome: "asyncio.Future[Any]", task: "asyncio.Task[Any]") -> None:
    """Tell those who have waited for an operation how it went."""
    if outcome.done():
        return
    if task.cancelled():
        outcome.cancel()
    elif error := task.exception():
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


def _note_outcome(outcome: "asyncio.Future[Any]") -> None:
    """Nobody may be left who waits for it."""
    if not outcome.cancelled():
        outcome.exception()
