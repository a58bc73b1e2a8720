"""Owns what dispatchers have counted: the present one's page, and the sums over its predecessors.

Runs in the supervisor. It only reads.
"""

from typing import TYPE_CHECKING

from ...lb.page import DispatcherPageView, split_position
from .wanted import WantedState

if TYPE_CHECKING:
    from ...lb.page import DispatcherCounters, ListenerCounters, SlotCounters  # names of the stub only

PROXY = ("proxy_untrusted", "proxy_malformed", "proxy_late")
SUMMED = ("accepted", "dispatched", "redispatched", "unsticky", "send_failures", "dropped", *PROXY)


class Counters:
    """The counters of all dispatchers of an app, one after the other; `wanted` is borrowed."""

    def __init__(self, wanted: WantedState) -> None:
        self._wanted = wanted
        self._sums = dict.fromkeys(SUMMED, 0)
        self._page: DispatcherPageView | None = None
        self._epoch = 0

    def begin(self, epoch: int, page: DispatcherPageView) -> None:
        """Read from the page (borrowed) of a new dispatcher from here on."""
        self._epoch, self._page = epoch, page

    def end(self) -> None:
        """Add what a dead dispatcher has counted to the sums, and forget its page."""
        if self._page:
            counted = self._page.read()
            self._sums = {name: self._sums[name] + _count(counted, name) for name in SUMMED}
        self._page = None

    def totals(self) -> dict[str, object]:
        """The present dispatcher's counters; those that only grow include its predecessors'."""
        if self._page is None:
            return dict(self._sums)
        now = self._page.read()
        return now | {name: self._sums[name] + _count(now, name) for name in SUMMED}

    def of_slot(self, slot: int) -> "SlotCounters | None":
        """What the dispatcher knows of the worker in this slot; None: nothing, or there is no dispatcher now."""
        if self._page is None:
            return None
        row = self._page.read_slot(slot)
        return row if row["incarnation"] == self._wanted.incarnation_in(slot) else None

    def of_listener(self, listener_id: int) -> "ListenerCounters | None":
        """What the present dispatcher has counted of a listener; None: there is no dispatcher now."""
        return self._page.read_listener(listener_id) if self._page else None

    def untaken(self, slot: int, position: int) -> int:
        """Connections that lie in the channel of the worker in `slot`; `position` is from its page.

        The dispatcher's own figure is as old as its last wake-up; what the worker has taken since is newer.
        """
        row = self.of_slot(slot)
        if row is None:
            return 0
        epoch, taken = split_position(position)
        return max(min(row["untaken"], row["sent"] - (taken if epoch == self._epoch else 0)), 0)


def _count(counters: "DispatcherCounters", name: str) -> int:
    value = counters[name]  # type: ignore[literal-required]
    return int(value)
