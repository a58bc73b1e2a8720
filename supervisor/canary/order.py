"""Owns what may be asked of a canary. Pure; the supervisor process."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..errors import UsageError

# Seconds; less shows nothing, more holds up everything else that is to be done to the app.
SHORTEST, LONGEST = 1.0, 86_400.0


@dataclass(frozen=True)
class CanaryRules:
    """What new code must do to take the place of the old.

    Attributes:
        duration: seconds that it is looked at.
        min_requests: that it must have answered by then; fewer prove nothing.
        max_errors: percent points that its share of errors may be above that of the others.
        max_slowdown: how many times as long as those of the others its p99 may be.
    """

    duration: float
    min_requests: int
    max_errors: float
    max_slowdown: float


@dataclass(frozen=True)
class CanaryOrder:
    """What somebody asks for.

    Attributes:
        rules: what is judged.
        percent: of the workers; 0: one worker.
        health: question of a health check that the new workers get; "": as in the settings.
        hung_up: returns when whoever asks has gone.
    """

    rules: CanaryRules
    percent: float
    health: str
    hung_up: Callable[[], Awaitable[None]]

    def canaries(self, workers: int) -> int:
        """Return how many workers are on trial beside `workers`: one at least."""
        return max(1, round(workers * self.percent / 100))


def check_order(order: CanaryOrder) -> None:
    """Raise for what makes no sense.

    Raises:
        UsageError: names the option.
    """
    rules = order.rules
    if not SHORTEST <= rules.duration <= LONGEST:
        raise UsageError(f"--for {rules.duration:g}s: must be {SHORTEST:g} s to {LONGEST / 3600:g} h")
    if not 0 <= order.percent <= 100:
        raise UsageError(f"--percent {order.percent:g}: must be 0 to 100")
    if rules.min_requests < 0:
        raise UsageError(f"--min-requests {rules.min_requests}: must be 0 or more")
    if not 0 <= rules.max_errors <= 100:
        raise UsageError(f"--max-errors {rules.max_errors:g}: must be 0 to 100 percent points")
    if not rules.max_slowdown >= 1:
        raise UsageError(f"--max-slowdown {rules.max_slowdown:g}: must be 1 or more")
