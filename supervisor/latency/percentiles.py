"""Owns what a latency histogram says: percentiles, and differences of two looks at it. Pure; supervisor and shell.

A histogram is a list of counts; bucket i has requests of less than 2**i microseconds and not less than half of that
(lb/page.pxd). So a percentile is known to a factor of two, and within its bucket requests are taken to lie evenly.
What a worker writes on its page is a claim: every count is clamped.
"""

from collections.abc import Sequence

Histogram = Sequence[int]


def difference(after: Histogram, before: Histogram) -> list[int]:
    """Return what came to `after` since `before`, an earlier look at the same histogram; empty: at its begin."""
    if not before:
        return list(after)
    return [max(late - early, 0) for late, early in zip(after, before, strict=True)]


def total(histograms: Sequence[Histogram]) -> list[int]:
    """Return the sum of histograms; nothing of none."""
    found = [one for one in histograms if one]
    return list(found[0]) if len(found) == 1 else [sum(counts) for counts in zip(*found, strict=True)]


def percentile_ms(histogram: Histogram, percent: float) -> float | None:
    """Return the milliseconds within which `percent` of the requests were answered; None: there were none."""
    count = sum(histogram)
    if not count:
        return None
    rank = percent / 100 * count
    below = 0
    for bucket, inside in enumerate(histogram):
        if inside and below + inside >= rank:
            low_us, high_us = 2.0**bucket / 2 if bucket else 0.0, 2.0**bucket
            return round((low_us + (high_us - low_us) * max(rank - below, 0) / inside) / 1000, 3)
        below += inside
    return round(2.0 ** (len(histogram) - 1) / 1000, 3)
