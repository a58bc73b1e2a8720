"""Owns the answer to `--workers max`: as many as there are CPUs, if the memory of the cgroup has room for them."""

from pathlib import Path

from .cpus import CGROUP_MOUNT, CGROUP_OF_SELF, lines_of, upwards, usable_cpus

# What a worker of Python or Node with a framework needs before it has anything to do.
WORKER_BYTES = 128 << 20
# The "no limit" of v1 is the largest multiple of a page; nothing that large exists.
NO_LIMIT = 1 << 60


def usable_workers() -> int:
    """Return how many workers the CPUs and the memory that this process may use are for; at least 1."""
    return workers_for(usable_cpus(), cgroup_memory_limit(CGROUP_OF_SELF, CGROUP_MOUNT))


def workers_for(cpus: int, memory_bytes: int | None) -> int:
    """Return one worker a CPU, as far as each has WORKER_BYTES; None: the memory has no limit."""
    return cpus if memory_bytes is None else max(1, min(cpus, memory_bytes // WORKER_BYTES))


def cgroup_memory_limit(cgroup_of_self: Path, mount: Path) -> int | None:
    """Return the smallest memory limit on the way from this process's cgroup to the root, in bytes; None: none is set.

    `cgroup_of_self`, `mount` as in `cgroup_quota`.
    """
    limits: list[int] = []
    for line in lines_of(cgroup_of_self):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            limits += _limits(mount, path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits(mount / "memory", path, "memory.limit_in_bytes")
    return min(limits, default=None)


def _limits(root: Path, path: str, file: str) -> list[int]:
    texts = ["".join(lines_of(directory / file)).strip() for directory in upwards(root, path)]
    return [int(text) for text in texts if text.isdigit() and int(text) < NO_LIMIT]
