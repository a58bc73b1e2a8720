"""Owns the question whether a process that was killed was killed by the kernel for lack of memory.

Runs in the supervisor process. The kernel counts such kills before it sends the signal, and tells nobody whom it has
chosen: of a process that died by SIGKILL, which nobody of ours sent, a count that has just risen is the explanation.
"""

from collections.abc import Sequence
from pathlib import Path

from ..settings.quantities import format_size
from .cgroup import MemoryCgroup, read_figure, read_or_nothing

# A kill that was counted so many seconds ago was of another process: of a child of a worker.
CLAIM_SECONDS = 10.0
VMSTAT = Path("/proc/vmstat")


class OomKills:
    """Counts kills.

    Args:
        cgroups: that we are in, the own first; empty: the whole system is asked, where every kill is counted.
        now: monotonic seconds.
    """

    def __init__(self, cgroups: Sequence[MemoryCgroup], now: float) -> None:
        self._cgroups = cgroups
        self._counted = self._count()
        self._unclaimed = 0
        self._seen_at = now

    def look(self, now: float) -> int:
        """Return how many kills there were since the last look; call it now and then."""
        counted = self._count()
        new, self._counted = max(counted - self._counted, 0), counted
        if now - self._seen_at > CLAIM_SECONDS:
            self._unclaimed = 0
        if new:
            self._unclaimed += new
            self._seen_at = now
        return new

    def claim(self, now: float) -> str:
        """Return why a process is dead that nobody of ours has killed; each kill explains one death."""
        self.look(now)
        if not self._unclaimed:
            return "not by fastlb"
        self._unclaimed -= 1
        limits = [limit for cgroup in self._cgroups if (limit := cgroup.limit_bytes)]
        if limits:
            return f"out of memory, of which its cgroup may use {format_size(min(limits))}"
        return "out of memory" if self._cgroups else "out of memory, as far as can be told"

    def _count(self) -> int:
        if self._cgroups:
            return self._cgroups[0].oom_kills
        return read_figure(read_or_nothing(VMSTAT), b"oom_kill")
