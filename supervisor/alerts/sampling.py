"""Owns how a look at an app is made: of what `metrics` says of it, and of disk, memory and listeners around it.

Runs in the supervisor process, every some seconds. It must stay cheap, and nothing here may hang: a disk is asked by a
thread, whose last answer is taken.
"""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..control.protocol import AppMetrics, WorkerEntry
from ..latency.percentiles import total
from ..processes.cgroup import MemoryCgroup, memory_cgroups, read_figure, read_or_nothing
from ..sockets.accept_queue import drops_of
from ..sockets.listeners import BoundListener
from .background import in_background
from .sample import Sample, Share

MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Around:
    """What is around an app; fields as in Sample, `memory`: of all that is bounded but the workers alone."""

    memory: Share | None = None
    disk: Share | None = None
    overflows: int = 0
    reload_failure: str = ""
    dead_channels: Sequence[str] = ()


def sample_of(metrics: AppMetrics, around: Around, now: float) -> Sample:
    """Return one look; `now`: monotonic seconds."""
    alive = [worker for worker in metrics.workers if worker.pid]
    counted = [worker.requests for worker in metrics.workers if worker.requests is not None]
    return Sample(
        at=now,
        cpu=_highest([Share(worker.cpu_percent, f"worker {worker.id}") for worker in alive]),
        memory=_highest([*_of_limit(alive, metrics.max_memory_bytes), *([around.memory] if around.memory else [])]),
        restarts=metrics.restarts,
        requests=sum(counted) if counted else None,
        errors=sum(worker.errors for worker in metrics.workers),
        latency_us=tuple(total([figures.latency_us for figures in metrics.figures])),
        unhealthy=[f"worker {worker.id} {worker.impediment}" for worker in alive if worker.status == "unhealthy"],
        errored=[worker.id for worker in metrics.workers if worker.status == "errored"],
        reload_failure=around.reload_failure,
        disk=around.disk,
        overflows=around.overflows,
        dead_channels=around.dead_channels,
    )


def _of_limit(workers: Sequence[WorkerEntry], limit_bytes: int) -> list[Share]:
    """Return what each worker has of what it may have; nothing where there is no limit."""
    if not limit_bytes:
        return []
    return [Share(100 * worker.rss_bytes / limit_bytes, f"worker {worker.id}") for worker in workers]


def _highest(shares: Sequence[Share]) -> Share | None:
    return max(shares, key=lambda share: share.percent, default=None)


class Surroundings:
    """Looks at disk, memory and listeners of an app; make it on the event loop.

    Args:
        logs_dir: whose disk is looked at.
        listeners: of the app, borrowed; there may be others later.
    """

    def __init__(self, logs_dir: Path, listeners: Sequence[BoundListener]) -> None:
        self._logs_dir = logs_dir
        self._listeners = listeners
        self._cgroups = memory_cgroups()
        self._disk: Share | None = None
        self._is_asking = False

    def look(self) -> Around:
        """Return what is around the app now; of the disk what it said last."""
        self._ask_disk()
        overflows = sum(drops_of(listener.socket) for listener in self._listeners)
        return Around(_highest(_memory_shares(self._cgroups)), self._disk, overflows)

    def _ask_disk(self) -> None:
        """A disk over the network may never answer: it is asked again only when it has."""
        if not self._is_asking:
            with contextlib.suppress(RuntimeError):  # no thread now: it is asked the next time
                in_background("disk", lambda: disk_share(self._logs_dir), self._take_disk)
                self._is_asking = True

    def _take_disk(self, share: Share | None) -> None:
        self._is_asking = False
        self._disk = share


def disk_share(directory: Path) -> Share | None:
    """Return how full the disk of a directory is for us, as df(1) counts; None: it cannot be said."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return None
    used = found.f_blocks - found.f_bfree
    usable = used + found.f_bavail
    return Share(100 * used / usable, f"the disk of {directory}") if usable > 0 else None


def _memory_shares(cgroups: Sequence[MemoryCgroup]) -> list[Share]:
    """Return what is used of the memory of the machine, and of each cgroup with a limit."""
    text = read_or_nothing(MEMINFO).replace(b" kB", b"")
    all_kb, free_kb = read_figure(text, b"MemTotal:"), read_figure(text, b"MemAvailable:")
    shares = [Share(100 * (1 - free_kb / all_kb), "the machine")] if all_kb and free_kb else []
    limits = [(cgroup, limit) for cgroup in cgroups if (limit := cgroup.limit_bytes)]
    return shares + [Share(100 * cgroup.working_set_bytes / limit, "the cgroup") for cgroup, limit in limits]
