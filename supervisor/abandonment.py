"""Owns what follows when no worker is left and none will come by itself: clients are refused, or a job is done.

Runs in the supervisor process. It starts and ends no worker: it looks at what the crew is, when it is told that
something has changed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from .dispatcher.refusal import Refusal
from .errors import EXIT_FAILURE, FastlbError, StartFailed
from .output.event_log import EventLog
from .workers.crew import Crew
from .workers.roster import are_all_at_rest, exit_code_of, given_up_ids, is_abandoned, last_failure
from .workers.runtime import WorkerRuntime


@dataclass(frozen=True)
class AbandonmentParts:
    """What an Abandonment works with; all borrowed but `refusal`.

    `autorestart`: returns the setting. `waits_for_change`: clients wait until a change of files brings a worker.
    """

    crew: Crew
    runtime: WorkerRuntime
    refusal: Refusal
    log: EventLog
    autorestart: Callable[[], bool]
    waits_for_change: bool = False


class Abandonment:
    """Sees that an app has no worker left. Make it on the event loop.

    Attributes:
        on_abandoned: called, with the reason, when no worker runs and none will by itself; may be None.
    """

    def __init__(self, parts: AbandonmentParts) -> None:
        self.on_abandoned: Callable[[FastlbError], None] | None = None
        self._parts = parts
        self._process_exited = asyncio.Event()
        self._is_ending = False

    @property
    def is_job_done(self) -> bool:
        """Whether all workers have ended and are not to be started again.

        That is: their work is done, or they have failed and `autorestart` is off.
        """
        members = self._parts.crew.members
        is_done = not self._parts.autorestart() or not given_up_ids(members)
        return is_done and are_all_at_rest(members)

    async def until_job_is_done(self) -> int:
        """Return the exit code when that is so."""
        while not self.is_job_done:
            self._process_exited.clear()
            await self._process_exited.wait()
        return exit_code_of(self._parts.crew.members)

    def note_exit(self) -> None:
        """Take note that a process has ended, and that what follows from it has been done."""
        self._process_exited.set()

    @contextlib.asynccontextmanager
    async def clients_let_in(self) -> AsyncIterator[None]:
        """Let clients in while workers are started, and after that unless there are none.

        Raises:
            StartFailed: an address of the app has been taken by somebody else while no worker ran.
        """
        try:
            await self._parts.refusal.end()
        except FastlbError as error:
            raise StartFailed(error.message) from error
        try:
            yield
        except FastlbError as error:
            self.look(error)
            raise
        self.look()

    def look(self, error: FastlbError | None = None) -> None:
        """Refuse clients if nobody will serve them; `error`: why, unless workers that were given up say it."""
        parts, members = self._parts, self._parts.crew.members
        if parts.waits_for_change or self._is_ending or parts.refusal.is_on or not is_abandoned(members):
            return
        parts.runtime.keep_only(set())
        parts.refusal.begin()
        if self.is_job_done:
            return
        failure = last_failure(members)
        if failure:
            reason = f"every worker crashed too often: {failure.reason}"
            error = FastlbError(reason, exit_code=failure.exit_code or EXIT_FAILURE)
        error = error or FastlbError("no worker runs")
        parts.log.error("app_abandoned", reason=error.message)
        if self.on_abandoned:
            self.on_abandoned(error)

    def close(self) -> None:
        """Do nothing more: the app ends."""
        self._is_ending = True
        self._parts.refusal.close()
