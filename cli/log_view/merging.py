"""Owns which lines of several logs come last, and the order in which they are shown: that of time.

Runs in the user's shell; reads only. The last lines are looked for from the end, so that it takes as long as what is
shown, and not as what is there; memory is bounded by the number of files.
"""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from .known_runs import CLOCK_TOLERANCE
from .records import Record
from .selection import Selection
from .sources import LogSource, Placed, Position


@dataclass(frozen=True)
class Stretch:
    """What of a log is to be shown: from the line at `first` to that at `last`, as far as `selection` wants them."""

    source: LogSource
    selection: Selection
    first: Position
    last: Position


@dataclass(order=True)
class _Reader:
    """A log that is read from its end; `rank` says which is looked at next: the one with the latest line."""

    rank: float
    number: int
    source: LogSource = field(compare=False)
    lines: Iterator[Placed] | None = field(compare=False, default=None)
    current: Placed | None = field(compare=False, default=None)


def find_tail(sources: Sequence[LogSource], selection: Selection, count: int | None) -> list[Stretch]:
    """Return where the last `count` lines are that are wanted; None: all of them.

    Raises:
        OSError: a file cannot be read.
    """
    found = 0
    firsts: dict[int, Position] = {}
    lasts: dict[int, Position] = {}
    for number, placed in _latest_first(sources, selection) if count != 0 else ():
        if selection.wants(placed.record, placed.at):
            found += 1
            firsts[number] = placed.position
            lasts.setdefault(number, placed.position)
            if found == count:
                break
    return [Stretch(sources[number], selection, firsts[number], lasts[number]) for number in sorted(firsts)]


def in_order(stretches: Sequence[Stretch]) -> Iterator[Record]:
    """Yield the lines that are wanted in the order of time; pieces of one line follow one another.

    Raises:
        OSError: a file cannot be read.
    """
    streams = [_wanted(stretch) for stretch in stretches]
    for placed in heapq.merge(*streams, key=_rank) if len(streams) > 1 else itertools.chain(*streams):
        yield placed.record


def _rank(placed: Placed) -> float:
    return placed.at if placed.record.is_first else float("-inf")


def _wanted(stretch: Stretch) -> Iterator[Placed]:
    at_any_time = replace(stretch.selection, since=None, until=None)  # that was looked at when the stretch was found
    is_wanted = False
    for placed in stretch.source.forward(stretch.first):
        if placed.record.is_first:
            if _comes_after(placed.position, stretch.last):
                return
            is_wanted = at_any_time.wants(placed.record, placed.at)
        if is_wanted:
            yield placed


def _comes_after(position: Position, other: Position) -> bool:
    return position.part < other.part or (position.part == other.part and position.start > other.start)


def _latest_first(sources: Sequence[LogSource], selection: Selection) -> Iterator[tuple[int, Placed]]:
    """Yield the lines of all logs with the number of their log, the latest first, until none is new enough."""
    readers = []
    for number, source in enumerate(sources):
        latest = source.modified_at() + CLOCK_TOLERANCE
        if selection.since is None or latest >= selection.since:
            readers.append(_Reader(-latest, -number, source))
    heapq.heapify(readers)
    while readers:
        reader = readers[0]
        if reader.current:
            if selection.since is not None and reader.current.at < selection.since:
                return  # all others are older
            yield -reader.number, reader.current
        if _advance(reader):
            heapq.heapreplace(readers, reader)
        else:
            heapq.heappop(readers)


def _advance(reader: _Reader) -> bool:
    reader.lines = reader.lines or reader.source.backward()
    reader.current = next(reader.lines, None)
    if reader.current is None:
        return False
    reader.rank = -reader.current.at
    return True
