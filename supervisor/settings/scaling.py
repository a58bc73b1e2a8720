"""Owns what the settings of autoscaling mean together. Pure; any process."""

import math
from dataclasses import dataclass

from ..errors import UsageError
from .app_config import AppConfig

# The averages that decide are of so many samples at least, and no more are kept than this in all.
SAMPLES_PER_WINDOW = 10
MOST_SAMPLES = 600


@dataclass(frozen=True)
class ScalingPlan:
    """Between which numbers of workers an app is scaled by its load, and when.

    Attributes:
        minimum, maximum: numbers of workers.
        cpu, busy: percent, as scale_cpu and scale_busy; 0: not looked at.
        memory: percent, as scale_memory; 0: no brake.
        up_cooldown, down_cooldown: seconds.
    """

    minimum: int
    maximum: int
    cpu: int = 80
    busy: int = 80
    memory: int = 80
    up_cooldown: float = 10.0
    down_cooldown: float = 60.0

    @property
    def sample_interval(self) -> float:
        """Seconds between two samples: as few as tell a load from its noise, and bounded in number."""
        return max(self.up_cooldown / SAMPLES_PER_WINDOW, self.down_cooldown / MOST_SAMPLES)

    @property
    def samples_kept(self) -> int:
        """How many of the latest samples are looked at."""
        return math.ceil(max(self.up_cooldown, self.down_cooldown) / self.sample_interval) + 1

    def bounded(self, workers: int) -> int:
        """Return the number between the bounds that is nearest to `workers`."""
        return min(max(workers, self.minimum), self.maximum)


def scaling_plan(config: AppConfig) -> ScalingPlan | None:
    """Return how an app is scaled by its load; None: it is not, as max_instances is not given."""
    if not config.max_instances:
        return None
    return ScalingPlan(
        minimum=config.min_instances or 1,
        maximum=config.max_instances,
        cpu=config.scale_cpu,
        busy=config.scale_busy,
        memory=config.scale_memory,
        up_cooldown=config.scale_up_cooldown,
        down_cooldown=config.scale_down_cooldown,
    )


def first_workers(config: AppConfig) -> int:
    """Return with how many workers an app begins of which nothing else is known."""
    plan = scaling_plan(config)
    return plan.bounded(config.workers) if plan else config.workers


def check_scaling(config: AppConfig) -> None:
    """Raise unless the settings of autoscaling fit together.

    Raises:
        UsageError: they do not; the message names the option.
    """
    if config.min_instances and not config.max_instances:
        raise UsageError("--min-instances: there is no scaling by load without --max-instances: give it too")
    if not config.max_instances:
        return
    if config.min_instances > config.max_instances:
        raise UsageError(
            f"--min-instances {config.min_instances}: this is more than --max-instances {config.max_instances}"
        )
    if config.workers > config.max_instances:
        raise UsageError(f"--workers {config.workers}: this is more than --max-instances {config.max_instances}")
    if not config.scale_cpu and not config.scale_busy:
        raise UsageError("--scale-cpu 0 --scale-busy 0: then nothing is looked at: give one of them a percentage")
