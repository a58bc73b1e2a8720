"""Owns the form of one look at an app, as alerts judge it, and how windows of looks are counted. Pure; supervisor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

# A window is whole when the samples are of nearly all of it: one may be late.
WHOLE_WINDOW = 0.8


@dataclass(frozen=True)
class Share:
    """The highest of some percentages, and of what it is: "worker 3"."""

    percent: float
    whose: str = ""


@dataclass(frozen=True)
class Sample:
    """One look at an app; counters go on from sample to sample.

    Attributes:
        at: monotonic seconds.
        cpu: of the busiest worker, of one core; None here and below: nobody knows.
        memory: the fullest of what is bounded.
        restarts: counter.
        requests: counter; None: nobody counts them.
        errors: counter of requests that failed.
        latency_us: counters, a histogram as in lb/page.pxd; empty: nobody measures it.
        unhealthy: why workers are ill, a phrase each.
        errored: numbers of the workers that were given up.
        reload_failure: why the last reload or restart failed; "": it did not.
        disk: of the logs.
        overflows: counter of connections for which a listener had no room.
        dead_channels: by which nobody can be told, with the reason each.
    """

    at: float
    cpu: Share | None = None
    memory: Share | None = None
    restarts: int = 0
    requests: int | None = None
    errors: int = 0
    latency_us: Sequence[int] = ()
    unhealthy: Sequence[str] = ()
    errored: Sequence[int] = ()
    reload_failure: str = ""
    disk: Share | None = None
    overflows: int = 0
    dead_channels: Sequence[str] = ()


def window_of(samples: Sequence[Sample], length: float) -> Sequence[Sample]:
    """Return the samples of the last `length` seconds, and the one before them, from which counters are counted."""
    begin = samples[-1].at - length
    first = next((at for at, sample in enumerate(samples) if sample.at > begin), len(samples))
    return samples[max(first - 1, 0) :]


def is_whole(window: Sequence[Sample], length: float) -> bool:
    """Whether a window has samples of nearly all of its `length` seconds."""
    return window[-1].at - window[0].at >= WHOLE_WINDOW * length


def growth(window: Sequence[Sample], counter: Callable[[Sample], int]) -> int:
    """Return how much a counter has grown; one that falls (workers went, or it was reset) begins anew."""
    counts = [counter(sample) for sample in window]
    return sum(max(after - before, 0) for before, after in pairwise(counts))


def histogram_growth(window: Sequence[Sample]) -> list[int]:
    """Return the histogram of what has come within a window; empty: nobody measures it."""
    if not window[-1].latency_us:
        return []
    buckets = range(len(window[-1].latency_us))
    return [growth(window, lambda sample, bucket=bucket: _count(sample, bucket)) for bucket in buckets]  # type: ignore[misc]


def _count(sample: Sample, bucket: int) -> int:
    return sample.latency_us[bucket] if bucket < len(sample.latency_us) else 0
