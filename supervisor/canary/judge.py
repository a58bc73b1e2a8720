"""Owns the judgement on new code: its errors and latencies beside those of the others. Pure; the supervisor process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..latency.percentiles import Histogram, difference, percentile_ms, total
from ..workers.runtime import WorkDone
from .order import CanaryRules

# One error may be anybody's fault.
FEWEST_ERRORS = 3
# A latency is judged before the end only when it is one of so many times min_requests: the first requests of a process
# find everything cold.
EARLY = 10
# A percentile is known to a factor of two, and nobody is hurt by a difference of less.
HARMLESS_MS = 10.0


@dataclass(frozen=True)
class Figures:
    """What some workers have done since the trial began. `requests`: that were answered; None: nobody counts them."""

    requests: int | None
    errors: int = 0
    latency_us: Histogram = ()

    @property
    def error_percent(self) -> float:
        """The share of requests that failed."""
        return 100 * self.errors / self.requests if self.requests else 0.0

    @property
    def p99_ms(self) -> float | None:
        """Within how many milliseconds 99 of 100 were answered; None: there were none."""
        return percentile_ms(self.latency_us, 99)

    @property
    def text(self) -> str:
        """For people."""
        if self.requests is None:
            return "requests are not counted"
        p99 = "" if self.p99_ms is None else f", p99 {self.p99_ms:.3g} ms"
        return f"{self.requests} requests, {self.errors} errors ({self.error_percent:.2g} %){p99}"


@dataclass(frozen=True)
class Verdict:
    """What follows: wait, go on with all workers, or roll back; and why."""

    outcome: Literal["wait", "go on", "roll back"]
    reason: str = ""


WAIT = Verdict("wait")


def figures(works: Sequence[tuple[WorkDone | None, WorkDone]]) -> Figures:
    """Return what workers have done between two looks at each; the first is None where there was no process then."""
    if any(after.requests is None for _, after in works):
        return Figures(None)
    latency_us = total([difference(after.latency_us, before.latency_us if before else ()) for before, after in works])
    errors = sum(max(after.errors - (before.errors if before else 0), 0) for before, after in works)
    return Figures(sum(latency_us), errors, latency_us)


def judge(canary: Figures, others: Figures, rules: CanaryRules, elapsed: float) -> Verdict:
    """Return what follows after `elapsed` seconds."""
    is_over = elapsed >= rules.duration
    if canary.requests is None:
        return Verdict("go on", "it has lived; nobody counts its requests") if is_over else WAIT
    worse = _errors(canary, others, rules)
    if is_over or canary.requests >= EARLY * rules.min_requests:
        worse = worse or _slowness(canary, others, rules)
    if worse:
        return Verdict("roll back", worse)
    if not is_over:
        return WAIT
    if canary.requests < rules.min_requests:
        reason = f"{canary.requests} requests say nothing, it takes {rules.min_requests} (--min-requests, --for)"
        return Verdict("roll back", reason)
    return Verdict("go on", f"{canary.text}; the others: {others.text}")


def _errors(canary: Figures, others: Figures, rules: CanaryRules) -> str:
    is_worse = canary.error_percent > others.error_percent + rules.max_errors
    if canary.errors < FEWEST_ERRORS or not is_worse:
        return ""
    share = f"{canary.errors} of {canary.requests} requests failed, {canary.error_percent:.2g} %"
    return f"{share}, and {others.error_percent:.2g} % of the others'"


def _slowness(canary: Figures, others: Figures, rules: CanaryRules) -> str:
    enough = min(canary.requests or 0, others.requests or 0) >= max(rules.min_requests, 1)
    if not enough or canary.p99_ms is None or others.p99_ms is None:
        return ""
    if canary.p99_ms <= rules.max_slowdown * others.p99_ms or canary.p99_ms - others.p99_ms <= HARMLESS_MS:
        return ""
    return f"its p99 is {canary.p99_ms:.3g} ms, and that of the others {others.p99_ms:.3g} ms"
