"""Owns the last hour of figures of each app, in memory of a fixed size. Pure; the user's shell.

An app takes LENGTH numbers for each figure whether or not it runs, and of more than MAX_APPS apps the first are kept.
"""

from array import array
from collections.abc import Mapping
from itertools import chain
from math import isnan, nan

from .points import NOTHING, Point

STEP_SECONDS = 6.0
LENGTH = 600  # an hour
MAX_APPS = 200


class Ring:
    """The last `length` points of one app, at equal distances."""

    def __init__(self, length: int = LENGTH) -> None:
        self._length = length
        self._next = 0
        self._count = 0
        self._values = {name: array("f", [nan]) * length for name in Point._fields}

    def append(self, point: Point) -> None:
        """Take the newest point; the oldest goes, when it is full."""
        for name, value in zip(Point._fields, point, strict=True):
            self._values[name][self._next] = value
        self._next = (self._next + 1) % self._length
        self._count = min(self._count + 1, self._length)

    def series(self, name: str) -> list[float | None]:
        """Return one figure, the oldest first; None: it was not known then."""
        values = self._values[name]
        start = self._next if self._count == self._length else 0
        ordered = chain(values[start : self._count], values[:start])
        return [None if isnan(value) else round(value, 3) for value in ordered]


class Histories:
    """The rings of all apps."""

    def __init__(self, length: int = LENGTH) -> None:
        self._length = length
        self._rings: dict[str, Ring] = {}

    def append(self, points: Mapping[str, Point]) -> None:
        """Take the newest points, by app: all at the same moment. What is not among them is forgotten."""
        self._rings = {name: ring for name, ring in self._rings.items() if name in points}
        for name in points:
            if name not in self._rings and len(self._rings) < MAX_APPS:
                self._rings[name] = Ring(self._length)
        for name, ring in self._rings.items():
            ring.append(points.get(name, NOTHING))

    def of(self, name: str) -> dict[str, list[float | None]]:
        """Return all figures of an app, the oldest first; none of one that is not kept."""
        ring = self._rings.get(name)
        return {field: ring.series(field) for field in Point._fields} if ring else {}

    def latest(self, field: str, count: int) -> dict[str, list[float | None]]:
        """Return the last `count` values of one figure of each app."""
        return {name: ring.series(field)[-count:] for name, ring in self._rings.items()}
