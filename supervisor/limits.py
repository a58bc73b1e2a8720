"""Owns how much one worker may get at a time: what the settings say, cut to what descriptors allow. Pure.

Runs in the supervisor process.
"""

import resource

from ..lb.command import WorkerBounds
from .app_config import AppConfig

# What an app opens beside its connections, and the free descriptors below which a worker feels pressure.
RESERVED_DESCRIPTORS = 128


def descriptor_limit() -> int:
    """Our soft RLIMIT_NOFILE, which every process that we start inherits."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


def worker_bounds(config: AppConfig, workers: int, capacity: int, limit: int) -> WorkerBounds:
    """What bounds a worker.

    Descriptors in flight count against the sender's limit for the whole user (unix(7), ETOOMANYREFS), so all
    credits of an app together stay below a quarter of it; and there may be two generations at a time.

    Args:
        config: the settings.
        workers: how many the app has.
        capacity: most busy connections, from the worker's own report; 0: unbounded.
        limit: descriptors that a process may have.
    """
    credit = max(min(config.credit, limit // 4 // (2 * workers)), 1)
    most_open = max(limit - RESERVED_DESCRIPTORS, limit // 2, 1)
    return WorkerBounds(credit, capacity, min(config.max_connections or most_open, most_open))


def low_limit_warning(config: AppConfig, limit: int) -> str | None:
    """A sentence if the descriptor limit cuts what the settings ask for, else None."""
    bounds = worker_bounds(config, config.workers, 0, limit)
    if bounds.credit < config.credit:
        needed = config.credit * 8 * config.workers
        return (
            f"the limit of {limit} descriptors allows {bounds.credit} waiting connections a worker instead of"
            f" {config.credit}: raise it with `ulimit -n {needed}` (LimitNOFILE= in a unit of systemd)"
        )
    if config.max_connections > bounds.max_connections:
        needed = config.max_connections + RESERVED_DESCRIPTORS
        return (
            f"the limit of {limit} descriptors allows {bounds.max_connections} connections a worker instead"
            f" of {config.max_connections}: raise it with `ulimit -n {needed}`"
        )
    return None
