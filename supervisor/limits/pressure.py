"""Owns the watch over the memory of the cgroup: before the kernel ends somebody, the largest worker is replaced.

Runs in the supervisor process. It replaces nobody itself: it says who should go, and that is a verdict among others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..processes.cgroup import MemoryCgroup
from .judge import FIRST_PAUSE, LONGEST_PAUSE, Verdict, format_mebibytes

W = TypeVar("W")

# A worker that has not grown by so much since it was new gives nothing back when it is replaced.
GROWN = 1.25


@dataclass(frozen=True)
class Tightness:
    """How full the fullest of our cgroups is. `used_bytes`: without files that the kernel can drop."""

    used_bytes: int
    limit_bytes: int

    @property
    def room_bytes(self) -> int:
        """What may still be used."""
        return self.limit_bytes - self.used_bytes


@dataclass(frozen=True)
class Candidate(Generic[W]):
    """A worker that serves: what it and all processes below it use, and used when it was new."""

    worker: W
    memory_bytes: int
    first_bytes: int


class CgroupPressure:
    """Says when the cgroup's memory is nearly used up, and who has to go then.

    Args:
        percent: of the limit, at which it is; 0: never.
        cgroups: that we are in.
    """

    def __init__(self, percent: int, cgroups: Sequence[MemoryCgroup]) -> None:
        self._share = percent / 100
        self._cgroups = cgroups
        self._pause = 0.0
        self._next_at = 0.0

    @property
    def is_watched(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._share and self._cgroups)

    def look(self, now: float) -> Tightness | None:
        """Return how full the cgroup is, if it is nearly full and something may be done about it; `now`: monotonic."""
        if not self.is_watched:
            return None
        tight = [found for cgroup in self._cgroups if (found := self._tightness(cgroup))]
        if not tight:
            self._pause = 0.0
            return None
        return min(tight, key=lambda one: one.room_bytes) if now >= self._next_at else None

    def note_verdict(self, now: float) -> None:
        """Take note that somebody goes: the next one only after a pause, which doubles while that does not help."""
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        self._next_at = now + self._pause

    def _tightness(self, cgroup: MemoryCgroup) -> Tightness | None:
        limit = cgroup.limit_bytes
        if not limit or cgroup.usage_bytes <= self._share * limit:  # the cheap figure first
            return None
        used = cgroup.working_set_bytes
        return Tightness(used, limit) if used > self._share * limit else None


def judge_pressure(tightness: Tightness, candidates: Sequence[Candidate[W]]) -> tuple[W, Verdict] | None:
    """Return who is to be replaced, and why: the largest, if it has grown; None: that would not help.

    It goes at once when there is no room for a new worker beside it, if others serve meanwhile.
    """
    if not candidates:
        return None
    largest = max(candidates, key=lambda candidate: candidate.memory_bytes)
    if largest.memory_bytes < GROWN * largest.first_bytes:
        return None
    used, limit = format_mebibytes(tightness.used_bytes), format_mebibytes(tightness.limit_bytes)
    its_own = format_mebibytes(largest.memory_bytes)
    reason = f"its cgroup uses {used} of {limit} of memory, it alone {its_own} (cgroup_memory_restart)"
    is_urgent = tightness.room_bytes < largest.first_bytes and len(candidates) > 1
    return largest.worker, Verdict(reason, is_memory=True, is_urgent=is_urgent, is_of_cgroup=True)


def tightest(cgroups: Sequence[MemoryCgroup]) -> dict[str, str]:
    """Return what `show` says: the cgroup with a limit that has the least room; nothing where none has one."""
    found = [(limit, cgroup.working_set_bytes, cgroup) for cgroup in cgroups if (limit := cgroup.limit_bytes)]
    if not found:
        return {}
    limit, used, cgroup = min(found, key=lambda one: one[0] - one[1])
    return {
        "cgroup": str(cgroup.directory),
        "cgroup_limit": format_mebibytes(limit),
        "cgroup_used": format_mebibytes(used),
    }
