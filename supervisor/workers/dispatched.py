"""Owns what all links to workers have in common that get their connections from the dispatcher.

Runs in the supervisor process. What the dispatcher says of a worker comes from its keeper straight to `on_event`.
"""

import abc
import asyncio

from ...lb.command import DispatcherEvent, EventName
from ..errors import FastlbError
from ..processes.reaper import ExitStatus
from .handle import WorkerHandle
from .life import LifeEventName
from .runtime import RuntimeParts, StartedProcess

# How often, and after how many seconds, what a dispatcher had to reject is repeated.
MOST_TRIES = 10
RETRY_DELAY = 0.2


class DispatchedLink(abc.ABC):
    """The dispatcher's side of a link.

    Attributes:
        worker: whose process it is.
        slot: its place in the dispatcher's table; ours until `leave_dispatcher`.
        started: the process.
        keeper: of the dispatcher; borrowed.
    """

    def __init__(self, worker: WorkerHandle, parts: RuntimeParts, slot: int, started: StartedProcess) -> None:
        self.worker = worker
        self.slot = slot
        self.started = started
        self.keeper = parts.keeper
        self._log = parts.log

    def on_event(self, event: DispatcherEvent) -> None:
        """Take what the dispatcher says of this process."""
        match event.name:
            case EventName.DRAINED:
                self.worker.apply(LifeEventName.DRAINED)
            case EventName.WORKER_DIED:
                if event.taken_back:
                    self._log.info("connections_taken_back", worker_id=self.worker.worker_id, count=event.taken_back)
            case _:
                self.on_particular_event(event)

    def explain(self, status: ExitStatus, error_output: str) -> str:
        """Return nothing: the process says for itself what fails."""
        return ""

    def write_line(self, line: bytes) -> None:
        """Refuse it.

        Raises:
            FastlbError: always; the process reads nothing there.
        """
        raise FastlbError("has no standard input: only programs in fork mode have one")

    @property
    def impediment(self) -> str:
        """Empty: nothing is known."""
        return ""

    def look(self, elapsed: float) -> None:  # noqa: B027 - a kind need not know of any
        """Look for nothing."""

    def note_check_answered(self) -> None:  # noqa: B027 - of a kind whose requests nobody counts
        """Do nothing."""

    @abc.abstractmethod
    def on_particular_event(self, event: DispatcherEvent) -> None:
        """Take what the dispatcher says of processes of one kind only."""

    def withdraw(self) -> None:
        """Take the process out of the policy; what it has not taken goes to others, if there are any."""
        if self.keeper.wanted.knows(self.slot):
            self.keeper.wanted.withdraw(self.slot)

    async def admitted(self) -> None:
        """Return when the dispatcher has the process in its policy; what it had to reject is repeated for a while.

        Raises:
            FastlbError: it still rejects it.
        """
        for _ in range(MOST_TRIES):
            await self.keeper.carried_out()
            if self.keeper.agreement.is_kept(self.slot):
                return
            await asyncio.sleep(RETRY_DELAY)
            self.keeper.agreement.repeat(self.slot)
        raise FastlbError(
            f"the dispatcher did not take worker {self.worker.worker_id}: command_rejected in the supervisor's log"
            " says why"
        )

    def leave_dispatcher(self) -> None:
        """Have the dispatcher forget the process; what it has not taken goes to others."""
        self.keeper.wanted.remove(self.slot)
        self.keeper.slots.give_back(self.slot)
