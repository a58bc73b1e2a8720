"""Owns the lines of one log in their order, from either end, each with the moment at which it stands among others.

Runs in the user's shell; reads only. A line whose time nobody knows stands beside its neighbour in the file; a file in
which nobody knows any, where it was last written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ...supervisor.home.log_index import Runs
from .chains import Chain, Ends, Part
from .known_runs import KnownRuns
from .records import Record, Shape, Stream, recognize


class Position(NamedTuple):
    """Where a line begins: in which file of the chain (0 is the newest), at which byte, and when it stands."""

    part: int
    start: int
    at: float


class Placed(NamedTuple):
    """A line and where it stands. `at`: seconds since the epoch; never falls along a log."""

    at: float
    record: Record
    position: Position


@dataclass(frozen=True)
class Origin:
    """What a log is. `app`: whose; `stream`: which; `shape`: what the settings make of its lines."""

    app: str
    stream: Stream
    shape: Shape


class LogSource:
    """One log of one app: a file and what was rotated away from it.

    Args:
        path: of the file.
        origin: what it is.
        ends: as Chain takes them.
        known: what is known of its files; None: only what lines say.
    """

    def __init__(self, path: Path, origin: Origin, ends: Ends | None = None, known: KnownRuns | None = None) -> None:
        self._chain = Chain(path, ends)
        self._origin = origin
        self._known = known
        self._runs: dict[tuple[int, int], Runs | None] = {}

    @property
    def path(self) -> Path:
        """The present file."""
        return self._chain.path

    def modified_at(self) -> float:
        """Return when it was last written, in seconds since the epoch; 0: never. No line stands later."""
        return self._chain.modified_at()

    def backward(self) -> Iterator[Placed]:
        """Yield all lines, the last one first.

        Raises:
            OSError: a file cannot be read.
        """
        at = float("inf")
        number = 0
        while part := self._chain.part(number):
            at = min(at, part.modified_at)
            runs = self._runs_of(part)
            for start, data in part.backward():
                record = self._record(data, runs, start)
                if record.time is not None:
                    at = min(at, record.time)
                yield Placed(at, record, Position(number, start, at))
            number += 1

    def forward(self, first: Position) -> Iterator[Placed]:
        """Yield the lines from `first`, of very long ones piece by piece.

        Raises:
            OSError: a file cannot be read.
        """
        at = first.at
        for number in range(first.part, -1, -1):
            part = self._chain.part(number)
            if part is None:
                continue
            if number != first.part and self._origin.shape == "plain" and not self._runs_of(part):
                at = max(at, part.modified_at)
            for placed in self._part_forward(part, Position(number, first.start if number == first.part else 0, at)):
                at = placed.at
                yield placed

    def close(self) -> None:
        """Close the files."""
        self._chain.close()

    def _part_forward(self, part: Part, first: Position) -> Iterator[Placed]:
        at = first.at
        runs = self._runs_of(part)
        for piece in part.forward(first.start):
            is_first = piece.is_first
            record = self._record(piece.data, runs, piece.start) if is_first else self._continued(piece.data)
            record.is_first, record.is_last = piece.is_first, piece.is_last
            if record.time is not None:
                at = max(at, record.time)
            yield Placed(at, record, Position(first.part, piece.start, at))

    def _runs_of(self, part: Part) -> Runs | None:
        if self._known is None:
            return None
        if part.identity not in self._runs:
            self._runs[part.identity] = self._known.of(part)
        return self._runs[part.identity]

    def _record(self, data: bytes, runs: Runs | None, start: int) -> Record:
        record = self._continued(data)
        run = runs.at(start) if runs else None
        if run:
            record.time, record.worker, record.pid = run.time, run.worker, run.pid
            if record.stream == "log" and run.stream:
                record.stream = run.stream
        return recognize(record, self._origin.shape)

    def _continued(self, data: bytes) -> Record:
        return Record(self._origin.app, self._origin.stream, data, data.decode(errors="backslashreplace"))
