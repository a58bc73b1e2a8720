"""Owns what the workers do now, as autoscaling looks at it: CPU, busy share, memory. Runs in the supervisor process.

It must stay cheap: two small files of /proc for each worker, once a second or so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..processes.cgroup import MemoryCgroup, read_figure, read_or_nothing
from ..processes.usage import read_cpu_seconds, read_rss_bytes
from ..workers.handle import WorkerHandle
from ..workers.incarnation import Incarnation
from ..workers.life import State
from .judge import Sample

MEMINFO = Path("/proc/meminfo")
Key = tuple[int, float]  # of a process: its pid, and when it was started


@dataclass(frozen=True)
class _Seen:
    at: float
    cpu_seconds: float


class LoadMeter:
    """Remembers the CPU time of each process that serves, to tell what it has used since."""

    def __init__(self) -> None:
        self._seen: dict[Key, _Seen] = {}

    def sample(self, members: Iterable[WorkerHandle], now: float) -> Sample | None:
        """Look at all that serve; None: nothing can be said yet, as they were not looked at before.

        A worker that was not there at the last look is left out: what it used to start is no load.
        """
        serving = [member.incarnation for member in members if member.life.state is State.ADMITTED]
        before, self._seen = self._seen, {}
        cpus, memories = [], []
        for incarnation in serving:
            if incarnation is None:
                continue
            key = incarnation.process.pid, incarnation.started_at
            try:
                seen = _Seen(now, read_cpu_seconds(incarnation.process.pid))
                memories.append(read_rss_bytes(incarnation.process.pid))
            except (OSError, ValueError, IndexError):
                continue  # it has just ended
            self._seen[key] = seen
            if (last := before.get(key)) and now > last.at:
                cpus.append(100 * (seen.cpu_seconds - last.cpu_seconds) / (now - last.at))
        if not cpus:
            return None
        busy = _busy_percent([one for one in serving if one])
        return Sample(now, len(serving), _mean(cpus), busy, round(_mean(memories)))


def memory_to_share(cgroups: Sequence[MemoryCgroup]) -> int:
    """Return the bytes of memory that there are for all: of the machine, or of the smallest cgroup; 0: not known."""
    machine = read_figure(read_or_nothing(MEMINFO).replace(b" kB", b""), b"MemTotal:") * 1024
    limits = [limit for cgroup in cgroups if (limit := cgroup.limit_bytes)]
    return min([*limits, *([machine] if machine else [])], default=0)


def _busy_percent(serving: Sequence[Incarnation]) -> float | None:
    shares = [incarnation.link.work_done().busy_share for incarnation in serving]
    known = [share for share in shares if share is not None]
    return 100 * _mean(known) if known and len(known) == len(shares) else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
