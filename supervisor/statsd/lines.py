"""Owns what a StatsD server is told, by the names that gunicorn has for it. Pure; the supervisor process.

Names: docs.gunicorn.org/en/stable/instrumentation.html. Counts are of the time between two looks; durations come out of
the histograms of the workers, so a bucket is told once, with its rate: `@0.1` stands for ten requests.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from ..rates.meter import AppRates

MOST_BYTES = 1432  # of a datagram: what an Ethernet frame holds, as StatsD's own documentation advises
LEVELS = ("critical", "error", "warning")  # of log lines that gunicorn counts
NONE: Mapping[str, int] = MappingProxyType({})
MIDDLE = 0.75  # of a bucket, whose requests took half of its bound or more


def lines_of(rates: AppRates, workers: int, prefix: str, events: Mapping[str, int] = NONE) -> list[str]:
    """Return the lines about what was done between two looks.

    Args:
        rates: what was done.
        workers: how many get connections now.
        prefix: in front of each name; empty: none.
        events: how many came meanwhile, by their level.
    """
    start = f"{prefix.rstrip('.')}.gunicorn" if prefix else "gunicorn"
    lines = [f"{start}.workers:{workers}|g"]
    lines += [f"{start}.log.{level}:{events[level]}|c" for level in LEVELS if level in events]
    if rates.app.requests is None:
        return lines
    if requests := round(rates.app.requests * rates.seconds):
        lines.append(f"{start}.requests:{requests}|c")
    lines += [f"{start}.request.status.{code}:{count}|c" for code, count in sorted(rates.app.responses.items())]
    return lines + [f"{start}.request.duration:{line}" for line in _durations(rates.app.latency_us)]


def datagrams(lines: Sequence[str]) -> list[bytes]:
    """Return lines packed into datagrams of at most MOST_BYTES; a longer line stands alone."""
    packed: list[bytes] = []
    for line in map(str.encode, lines):
        if packed and len(packed[-1]) + 1 + len(line) <= MOST_BYTES:
            packed[-1] += b"\n" + line
        else:
            packed.append(line)
    return packed


def _durations(latency_us: Sequence[int]) -> Iterable[str]:
    for bucket, count in enumerate(latency_us):
        if count:
            milliseconds = MIDDLE * 2.0**bucket / 1000
            yield f"{milliseconds:.6g}|ms" + (f"|@{1 / count:.6g}" if count > 1 else "")
