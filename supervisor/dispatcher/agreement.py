"""Owns the comparison of what a dispatcher has with what is wanted: a command that it had to reject is repeated.

Runs in the supervisor. What the dispatcher has is what its page says, which is as new as its last answer.
"""

from ...lb.page import SlotState
from ..output.event_log import EventLog
from .counters import Counters
from .wanted import DispatchedWorker, Membership, WantedState


class Agreement:
    """Compares, and repeats what is missing.

    Args:
        wanted, counters, log: borrowed.
    """

    def __init__(self, wanted: WantedState, counters: Counters, log: EventLog) -> None:
        self._wanted = wanted
        self._counters = counters
        self._log = log
        self._missing: set[int] = set()

    def is_kept(self, slot: int) -> bool:
        """Whether the dispatcher has the worker in this slot as it is wanted, if it is wanted at all."""
        worker = self._wanted.worker_in(slot)
        return worker is None or self._is_known(worker)

    def repeat(self, slot: int) -> None:
        """Tell the dispatcher once more of the worker in this slot; what it has already changes nothing."""
        self._wanted.tell_again(slot)

    def mend(self) -> None:
        """Repeat what was missing at the last call as well: what has just been told may be on its way."""
        if not self._wanted.link:
            return
        missing = {worker.slot for worker in self._wanted.workers() if not self._is_known(worker)}
        for slot in missing & self._missing:
            self._log.warning("worker_told_again", slot=slot)
            self.repeat(slot)
        self._missing = missing

    def _is_known(self, worker: DispatchedWorker) -> bool:
        row = self._counters.of_slot(worker.slot)
        if row is None:
            return False
        if worker.membership is Membership.ADMITTED:
            return row["state"] != SlotState.ADDED
        return worker.membership is not Membership.DRAINING or row["state"] not in (SlotState.ADDED, SlotState.ADMITTED)
