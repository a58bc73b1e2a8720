"""Owns the decision that a worker has had enough: of memory, of requests, of time. Pure.

Runs in the supervisor process. It must not touch a process: what a worker uses is passed in.
"""

from dataclasses import dataclass

from ..settings.app_config import AppConfig
from ..settings.quantities import format_duration, format_size

# A worker this far above max_memory_restart goes without waiting for its replacement.
URGENT = 1.5
# Seconds; a look is taken at least as often.
LOOK_AHEAD = 1.0
# A replacement that is over its limit at once shows a limit that is too low: the pauses between two double.
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 600.0
# After a worker went without a replacement.
RETRY = 30.0
# Workers that were started together must not reach max_lifetime together: each gets up to a tenth less.
LIFETIME_JITTER = 0.1


@dataclass(frozen=True)
class LimitRules:
    """The settings, by their names in AppConfig; 0: no such limit."""

    max_memory_restart: int
    max_requests: int
    max_requests_jitter: int
    max_lifetime: float

    @classmethod
    def of(cls, config: AppConfig) -> "LimitRules":
        """Take them from the settings of an app."""
        return cls(
            max_memory_restart=config.max_memory_restart,
            max_requests=config.max_requests,
            max_requests_jitter=config.max_requests_jitter,
            max_lifetime=config.max_lifetime,
        )

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return bool(self.max_memory_restart or self.max_requests or self.max_lifetime)


@dataclass(frozen=True)
class Allowance:
    """What one process may use; 0: as much as it wants.

    Attributes:
        memory_bytes: of the process and all below it.
        requests: that it answers.
        lifetime: seconds since its start.
    """

    memory_bytes: int
    requests: int
    lifetime: float


@dataclass(frozen=True)
class Used:
    """What one process has used so far; fields as in Allowance. `growth`: of its memory, bytes a second."""

    memory_bytes: int
    requests: int
    lifetime: float
    growth: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """A worker is over a limit.

    Attributes:
        reason: says which, for people.
        is_memory: it is that of memory.
        is_urgent: it goes even before its replacement serves.
        is_of_cgroup: it is that of all processes together.
    """

    reason: str
    is_memory: bool = False
    is_urgent: bool = False
    is_of_cgroup: bool = False


def allowance(rules: LimitRules, jitter: float) -> Allowance:
    """Return what a new process may use; `jitter`: a random number in 0..1.

    max_requests_jitter adds to max_requests, as gunicorn's does.
    """
    requests = rules.max_requests + round(jitter * rules.max_requests_jitter) if rules.max_requests else 0
    return Allowance(rules.max_memory_restart, requests, rules.max_lifetime * (1 - LIFETIME_JITTER * jitter))


def judge(allowed: Allowance, used: Used) -> Verdict | None:
    """Return why a process is to be replaced, or None.

    Memory that will be over the limit within LOOK_AHEAD counts as if it were: the new worker takes a while to start.
    """
    if allowed.memory_bytes and used.memory_bytes + max(used.growth, 0) * LOOK_AHEAD > allowed.memory_bytes:
        size, limit = format_mebibytes(used.memory_bytes), format_size(allowed.memory_bytes)
        over = "over" if used.memory_bytes > allowed.memory_bytes else "about to be over"
        reason = f"it uses {size} of memory, {over} max_memory_restart ({limit})"
        return Verdict(reason, is_memory=True, is_urgent=used.memory_bytes > URGENT * allowed.memory_bytes)
    if allowed.requests and used.requests >= allowed.requests:
        return Verdict(f"it has answered {used.requests} requests (max_requests)")
    if allowed.lifetime and used.lifetime >= allowed.lifetime:
        return Verdict(f"it has lived for {format_duration(round(used.lifetime))} (max_lifetime)")
    return None


def next_pause(verdict: Verdict, lived: float, last_pause: float) -> float:
    """Return the seconds that must pass before a limit replaces the process of a worker again.

    Args:
        verdict: why it was replaced now.
        lived: seconds that the replaced process lived.
        last_pause: what this, or `pause_after_failure`, returned last; 0 at first.
    """
    if not verdict.is_memory:
        return 0.0  # the limit itself says how often
    return min(2 * last_pause, LONGEST_PAUSE) if lived < 2 * last_pause else FIRST_PAUSE


def pause_after_failure(last_pause: float) -> float:
    """Return the same after a replacement that did not start; `last_pause` as there."""
    return min(max(2 * last_pause, FIRST_PAUSE), LONGEST_PAUSE)


def format_mebibytes(size: int) -> str:
    """Return a size as `list` shows it: "512M"."""
    return f"{size / 2**20:.0f}M"
