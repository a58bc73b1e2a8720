"""Owns how much one worker may get at a time: what the settings say, cut to what descriptors allow. Pure.

Runs in the supervisor process.
"""

from ...lb.command import WorkerBounds
from ..settings.app_config import AppConfig
from ..settings.traits import WorkerTraits

# What an app opens besides its connections, and the free descriptors below which a worker feels pressure.
RESERVED_DESCRIPTORS = 128


def wanted_credit(config: AppConfig, traits: WorkerTraits) -> int:
    """Return the credit that the settings ask for, before the descriptor limit cuts it."""
    return config.credit or traits.default_credit


def worker_bounds(
    config: AppConfig, traits: WorkerTraits, workers: int, capacity: int, limit: int
) -> WorkerBounds:
    """Return what bounds a worker.

    Descriptors in flight count against the sender's limit for the whole user (unix(7), ETOOMANYREFS), so all
    credits of an app together stay below a quarter of it; and there may be two generations at a time.

    Args:
        config: the settings.
        traits: of the app's kind of workers.
        workers: how many the app has.
        capacity: most busy connections, from the worker's own report; 0: unbounded.
        limit: descriptors that a process may have.
    """
    credit = max(min(wanted_credit(config, traits), limit // 4 // (2 * workers)), 1)
    return WorkerBounds(credit, capacity, _most_open(config, traits, limit))


def _most_open(config: AppConfig, traits: WorkerTraits, limit: int) -> int:
    """Return the most open connections of a worker; 0: unbounded."""
    limit = min(limit, config.nofile or limit)
    allowed = max(limit - RESERVED_DESCRIPTORS, limit // 2, 1)
    if not config.max_connections:
        return allowed if traits.bounded_by_descriptors else 0
    return min(config.max_connections, allowed)


def low_limit_warning(config: AppConfig, traits: WorkerTraits, limit: int) -> str | None:
    """Return a sentence if the descriptor limit cuts what the settings ask for, else None."""
    if not traits.needs_dispatcher:
        return None
    bounds = worker_bounds(config, traits, config.workers, 0, limit)
    wanted = wanted_credit(config, traits)
    if bounds.credit < wanted:
        needed = wanted * 8 * config.workers
        return (
            f"the limit of {limit} descriptors allows {bounds.credit} waiting connections a worker instead of"
            f" {wanted}: raise it with `ulimit -n {needed}` (LimitNOFILE= in a unit of systemd)"
        )
    if config.max_connections > bounds.max_connections:
        needed = config.max_connections + RESERVED_DESCRIPTORS
        return (
            f"the limit of {limit} descriptors allows {bounds.max_connections} connections a worker instead"
            f" of {config.max_connections}: raise it with `ulimit -n {needed}`"
        )
    return None
