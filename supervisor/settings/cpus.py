"""Owns the answer to the question how many CPUs this process may use. Reads /proc and /sys."""

import os
from collections.abc import Callable
from pathlib import Path

CGROUP_MOUNT = Path("/sys/fs/cgroup")
CGROUP_OF_SELF = Path("/proc/self/cgroup")
V1_CPU_CONTROLLERS = ("cpu,cpuacct", "cpu")


def usable_cpus() -> int:
    """Return the CPUs of this process's affinity, or fewer when a cgroup's quota allows less; at least 1."""
    affinity = len(os.sched_getaffinity(0))
    quota = cgroup_quota(CGROUP_OF_SELF, CGROUP_MOUNT)
    return affinity if quota is None else max(1, min(affinity, int(quota)))


def cgroup_quota(cgroup_of_self: Path, mount: Path) -> float | None:
    """Return the smallest CPU quota on the way from this process's cgroup to the root, in CPUs.

    Args:
        cgroup_of_self: the file of cgroups(7) with a line `ID:CONTROLLERS:PATH` for each hierarchy.
        mount: where the hierarchies are mounted.

    Returns:
        None when no cgroup sets a quota, or nothing is readable.
    """
    quotas: list[float] = []
    for line in lines_of(cgroup_of_self):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            quotas += _quotas_upwards(mount, path, _quota_v2)
        elif "cpu" in controllers.split(","):
            for name in V1_CPU_CONTROLLERS:
                quotas += _quotas_upwards(mount / name, path, _quota_v1)
    return min(quotas, default=None)


def _quotas_upwards(root: Path, path: str, quota_of: Callable[[Path], float | None]) -> list[float]:
    return [quota for directory in upwards(root, path) if (quota := quota_of(directory)) is not None]


def upwards(root: Path, path: str) -> list[Path]:
    """Return the directories of a cgroup and of those above it; `root`: where its hierarchy is mounted.

    In a container the path may name a place of the host that is not mounted here: then only the root counts.
    """
    directories = [root / path.strip("/"), *(root / path.strip("/")).parents]
    return [directory for directory in directories if directory.is_relative_to(root)]


def _quota_v2(directory: Path) -> float | None:
    """`cpu.max` is `QUOTA PERIOD` in microseconds, or `max PERIOD`: cgroup-v2.rst of the kernel."""
    words = " ".join(lines_of(directory / "cpu.max")).split()
    return _cpus(words[0], words[1]) if len(words) == 2 else None


def _quota_v1(directory: Path) -> float | None:
    """`cpu.cfs_quota_us` is -1 without a quota: sched-bwc.rst of the kernel."""
    quota = "".join(lines_of(directory / "cpu.cfs_quota_us"))
    period = "".join(lines_of(directory / "cpu.cfs_period_us"))
    return _cpus(quota, period)


def _cpus(quota_us: str, period_us: str) -> float | None:
    if not quota_us.isdigit() or not period_us.isdigit() or int(period_us) == 0:
        return None
    return int(quota_us) / int(period_us)


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file of the kernel's; none when it cannot be read."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
