"""Owns how what processes have counted becomes one, as prometheus_client.multiprocess joins it. Pure; supervisor.

The library joins files by their paths, which it opens itself. What it opens then may be another file than the one that
was looked at, so what is joined here is what was read.
"""

import json
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..control.protocol import OwnFamily, OwnSample
from .count_file import Pair, Values
from .families import text_of

# What a gauge of processes together is, of each of its modes that outlast a process.
LASTING_GAUGES: dict[str, Callable[[float, float], float]] = {"max": max, "min": min, "sum": operator.add}
MOST_RECENT = "mostrecent"
SUMS = ("counter", "histogram", "summary")

Labels = tuple[tuple[str, str], ...]


def joined(before: Values, after: Values, rule: str) -> Values:
    """Return what two processes have counted together; `rule`: sum, max, min or mostrecent."""
    found = dict(before)
    for key, pair in after.items():
        found[key] = _together(found[key], pair, rule) if key in found else pair
    return found


def lasting_rule(name: str) -> str:
    """Return how values of a file whose process has ended are added to others'; "": they are not."""
    kind, mode, _ = parts_of(name)
    if kind in SUMS:
        return "sum"
    return mode if mode in LASTING_GAUGES or mode == MOST_RECENT else ""


def parts_of(name: str) -> tuple[str, str, str]:
    """Return kind, mode and pid of a file by its name; only gauges have a mode."""
    kind, *mode, pid = name.removesuffix(".db").split("_")
    return kind, "".join(mode), pid


@dataclass
class _Series:
    """The samples with the same labels; of a histogram also how many values each bucket has, by its bound."""

    values: dict[str, Pair] = field(default_factory=dict)
    buckets: dict[float, tuple[str, float]] = field(default_factory=dict)

    def add(self, name: str, pair: Pair, rule: str) -> None:
        self.values[name] = _together(self.values[name], pair, rule) if name in self.values else pair

    def add_bucket(self, bound: str, value: float) -> None:
        text, before = self.buckets.get(float(bound), (bound, 0.0))
        self.buckets[float(bound)] = text, before + value

    def samples(self, family: str, labels: Labels) -> Iterator[OwnSample]:
        total = 0.0
        for name, (value, _) in self.values.items():
            yield OwnSample(name, dict(labels), text_of(value))
        for _, (bound, value) in sorted(self.buckets.items()):
            total += value
            yield OwnSample(f"{family}_bucket", {**dict(labels), "le": bound}, text_of(total))
        if self.buckets:
            yield OwnSample(f"{family}_count", dict(labels), text_of(total))


@dataclass
class _Family:
    kind: str
    meaning: str
    series: dict[Labels, _Series] = field(default_factory=dict)


class JoinedCounts:
    """Joins what processes have counted, one file after the other. Of a name that means two kinds the first counts."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}
        self._keys: dict[str, tuple[str, str, Labels, str]] = {}

    def add(self, file_name: str, values: Values) -> None:
        """Take what is in a file."""
        kind, mode, pid = parts_of(file_name)
        of_each = kind == "gauge" and mode.removeprefix("live") == "all"
        rule = "sum" if kind in SUMS else MOST_RECENT if of_each else mode.removeprefix("live")
        for key, pair in values.items():
            family_name, name, labels, meaning = self._parsed(key)
            family = self._families.setdefault(family_name, _Family(kind, meaning))
            if family.kind == kind:
                _add(family, name, (*labels, ("pid", pid)) if of_each else labels, pair, rule)

    def families(self) -> Iterator[OwnFamily]:
        """Yield what all have counted together."""
        for name, family in self._families.items():
            samples = [one for labels, series in family.series.items() for one in series.samples(name, labels)]
            yield OwnFamily(name, family.kind, family.meaning, samples)

    def _parsed(self, key: str) -> tuple[str, str, Labels, str]:
        if key not in self._keys:
            family, name, labels, meaning = json.loads(key)
            self._keys[key] = family, name, tuple(sorted(labels.items())), meaning
        return self._keys[key]


def _add(family: _Family, name: str, labels: Labels, pair: Pair, rule: str) -> None:
    bound = dict(labels).get("le") if family.kind == "histogram" else None
    if bound is None:
        family.series.setdefault(labels, _Series()).add(name, pair, rule)
    else:
        others = tuple(one for one in labels if one[0] != "le")
        family.series.setdefault(others, _Series()).add_bucket(bound, pair[0])


def _together(before: Pair, after: Pair, rule: str) -> Pair:
    if rule == MOST_RECENT:
        return max(before, after, key=lambda one: one[1])
    return LASTING_GAUGES[rule](before[0], after[0]), 0.0
