"""Owns what is being done to an app: at most one operation at a time, and which ones wait.

Runs in the supervisor process. An operation runs to its end although whoever asked for it has hung up; only a stop
cancels it. A person at a terminal is told at once that another one is running. Everyone else (a signal, and whatever
asks by itself) comes through `ask`: what cannot begin at once waits, what is asked for twice is done once, and the log
says who asked.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from .control.protocol import AppStatus
from .errors import BusyError, FastlbError, UsageError
from .output.event_log import EventLog

T = TypeVar("T")

MOST_WAITING = 16


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
    SCALE = ("scale", None)
    RETRY = ("retry", None)  # workers that were given up
    SET = ("set", None)
    REPLACE = ("replace", None)  # some workers, by new ones of the same generation

    def __init__(self, verb: str, status: AppStatus | None) -> None:
        self.verb = verb
        self.status = status


@dataclass(frozen=True)
class OperationRequest:
    """An operation that nobody at a terminal waits for.

    Attributes:
        operation: what to do.
        by: who asks, for the log: "signal SIGHUP".
        change: of SCALE: how many workers more, or fewer if negative.
    """

    operation: Operation
    by: str
    change: int = 0

    def is_same_as(self, other: "OperationRequest") -> bool:
        """Whether both are fulfilled when one of them is carried out."""
        return self.operation is other.operation and not self.change and not other.change


@dataclass(frozen=True)
class _Waiting:
    request: OperationRequest
    work: Callable[[], Coroutine[Any, Any, object]]


class Operations:
    """The operation that runs now, if any, and those that wait.

    `failure`: why the last one failed; "" if it did not.
    """

    def __init__(self, log: EventLog) -> None:
        self.failure = ""
        self._log = log
        self._running: Operation | None = None
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

    async def run(self, operation: Operation, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run an operation for somebody who waits for it; return its result.

        Raises:
            BusyError: another one is running.
            FastlbError: it failed, or was cancelled because the app is being stopped.
        """
        if self._running:
            raise BusyError(
                f"cannot {operation.verb}: a {self._running.verb} of this app is under way; try again after it"
            )
        task = self._begin(operation, work, {})
        try:
            result: T = await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._running is Operation.STOP:
                reason = f"the {operation.verb} was cancelled, because the app is being stopped"
                raise FastlbError(reason) from None
            raise
        return result

    def ask(self, request: OperationRequest, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Have an operation done, now or when its turn comes; the log alone is told how it goes.

        A request that is the same as one that waits already is dropped, as is one that finds too many waiting, or the
        app being stopped.
        """
        verb = request.operation.verb
        self._log.info(f"{verb}_asked", by=request.by)
        if self._running is None:
            self._begin(request.operation, work, {"by": request.by})
        elif self._running is Operation.STOP:
            self._drop(request, "the app is being stopped")
        elif any(request.is_same_as(other) for other in self.waiting):
            self._log.info(f"{verb}_dropped", by=request.by, reason=f"another {verb} waits already")
        elif len(self._waiting) >= MOST_WAITING:
            self._drop(request, f"{MOST_WAITING} operations wait already")
        else:
            self._log.info(f"{verb}_waits", by=request.by, behind=self._running.verb)
            self._waiting.append(_Waiting(request, work))

    def close(self) -> None:
        """Cancel what runs and what waits, and allow nothing more."""
        self._running = Operation.STOP
        while self._waiting:
            self._drop(self._waiting.popleft().request, "the app is being stopped")
        if self._task:
            self._task.cancel()

    async def wait_until_idle(self) -> None:
        """Wait until nothing runs any more; call it after `close`."""
        if self._task:
            await asyncio.wait({self._task})

    def _begin(
        self, operation: Operation, work: Callable[[], Coroutine[Any, Any, T]], names: dict[str, str]
    ) -> asyncio.Task[T]:
        """Start the task of an operation; `names`: for the log."""
        self._running = operation
        self._task = task = asyncio.create_task(self._logged(operation.verb, work, names))
        task.add_done_callback(self._on_done)
        return task

    async def _logged(
        self, verb: str, work: Callable[[], Coroutine[Any, Any, T]], names: dict[str, str]
    ) -> T:
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
        self._running = None
        if self._waiting:
            waiting = self._waiting.popleft()
            self._begin(waiting.request.operation, waiting.work, {"by": waiting.request.by})

    def _drop(self, request: OperationRequest, reason: str) -> None:
        self._log.warning(f"{request.operation.verb}_dropped", by=request.by, reason=reason)


def _details(error: FastlbError, names: dict[str, str]) -> dict[str, str]:
    """Return what a person at a terminal would be shown."""
    return {"details": error.details} if names and error.details else {}
