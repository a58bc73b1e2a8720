"""Owns which places in the dispatcher's table are free. Runs in the supervisor process. Pure."""

from collections import deque

from ...lb.page import PAGE_SLOTS
from ..processes.spawn import SpawnError


class FreeSlots:
    """The places that no worker has.

    First in, first out: the dispatcher may still be emptying the channel of one that was just given back.
    """

    def __init__(self) -> None:
        self._free = deque(range(PAGE_SLOTS))

    def take(self) -> int:
        """Return a free slot, which is the caller's until it is given back.

        Raises:
            SpawnError: there is none.
        """
        if not self._free:
            raise SpawnError(f"{PAGE_SLOTS} workers live, most of them draining: wait until they have finished")
        return self._free.popleft()

    def give_back(self, slot: int) -> None:
        """Make a slot free again."""
        self._free.append(slot)
