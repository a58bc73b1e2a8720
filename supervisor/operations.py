"""Owns that at most one operation (start, restart, reload, scale) changes an app at a time.

Runs in the supervisor process. An operation runs to its end although whoever asked for it has hung
up; only a stop cancels it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .errors import BusyError, FastlbError
from .output.event_log import EventLog

T = TypeVar("T")


class Operations:
    """The operation that runs now, if any. `failure`: why the last one failed; "" if it did not."""

    def __init__(self, log: EventLog) -> None:
        self.failure = ""
        self._log = log
        self._name: str | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_closed = False

    @property
    def current(self) -> str | None:
        """Name of the operation that runs: "start", "reload", ...; "stop" once the app is being stopped."""
        return "stop" if self._is_closed else self._name

    async def run(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run an operation and return its result.

        Raises:
            BusyError: another one is running.
            FastlbError: it failed, or was cancelled because the app is being stopped.
        """
        if self.current:
            raise BusyError(f"cannot {name}: a {self.current} of this app is under way; try again after it")
        self._name = name
        self._task = asyncio.create_task(self._logged(name, work))
        self._task.add_done_callback(_note_result)
        try:
            result: T = await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if self._is_closed:
                raise FastlbError(f"the {name} was cancelled, because the app is being stopped") from None
            raise
        return result

    def close(self) -> None:
        """Cancel what runs and allow nothing more."""
        self._is_closed = True
        if self._task:
            self._task.cancel()

    async def wait_until_idle(self) -> None:
        """Wait until nothing runs any more."""
        if self._task:
            await asyncio.wait({self._task})

    async def _logged(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self._log.info(f"{name}_begun")
        try:
            result = await work()
        except FastlbError as error:
            self.failure = f"{name}: {error.message}"
            self._log.error(f"{name}_failed", reason=error.message)
            raise
        except asyncio.CancelledError:
            self._log.warning(f"{name}_cancelled")
            raise
        finally:
            self._name = self._task = None
        self.failure = ""
        self._log.info(f"{name}_done")
        return result


def _note_result(task: asyncio.Task[Any]) -> None:
    """Whoever asked may have hung up; the log has the failure all the same."""
    if not task.cancelled():
        task.exception()
