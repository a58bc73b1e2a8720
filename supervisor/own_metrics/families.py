"""Owns how metrics of an app's own become families for a scrape: what cannot be a line is left out. Pure; supervisor.

Names, labels and values are what an app says: checked here, bounded, and never those that fastlb has itself.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..control.protocol import OwnFamily, OwnSample

RESERVED = "fastlb_"
MOST_BYTES = 512 << 10  # of all names, labels and values: an answer of the control socket stays small
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,254}")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,254}")
MOST_MEANING = 1024
# What a sample's name may have behind the family's.
SUFFIXES: dict[str, tuple[str, ...]] = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("", "_count", "_sum"),
    "unknown": ("",),
}


@dataclass
class OwnFamilies:
    """Gathers families up to MOST_BYTES. `left_out`: how many samples had no room, or could not be."""

    families: dict[str, OwnFamily] = field(default_factory=dict)
    left_out: int = 0
    _bytes: int = 0

    def add(self, family: OwnFamily) -> None:
        """Take a family, or more samples of one that is there already."""
        kept = self.families.get(family.name)
        if not is_possible(family) or (kept and kept.kind != family.kind):
            self.left_out += len(family.samples)
            return
        if kept is None:
            kept = self.families[family.name] = OwnFamily(family.name, family.kind, family.meaning[:MOST_MEANING], [])
        for sample in family.samples:
            size = len(sample.name) + sum(len(name) + len(value) for name, value in sample.labels.items()) + 32
            if self._bytes + size > MOST_BYTES or not fits(sample, family):
                self.left_out += 1
                continue
            self._bytes += size
            kept.samples.append(sample)


def is_possible(family: OwnFamily) -> bool:
    """Return whether a family can be said beside ours."""
    return (
        family.kind in SUFFIXES
        and bool(NAME.fullmatch(family.name))
        and not family.name.startswith(RESERVED)
        and is_text(family.meaning)
    )


def fits(sample: OwnSample, family: OwnFamily) -> bool:
    """Return whether a sample can be one of its family."""
    suffix = sample.name.removeprefix(family.name)
    is_named = sample.name.startswith(family.name) and suffix in SUFFIXES[family.kind]
    return is_named and all(LABEL.fullmatch(label) and is_text(value) for label, value in sample.labels.items())


def is_text(value: str) -> bool:
    """Return whether a text has UTF-8: the name of a file with odd bytes has none."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def text_of(value: float) -> str:
    """Return a number as a line has it."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


class PromClientValue(msgspec.Struct, rename={"name": "metricName"}):
    """A sample in the JSON of prom-client; null: a number that JSON has no word for."""

    value: float | None = None
    labels: dict[str, str | int | float | bool | None] = {}
    name: str = ""


class PromClientMetric(msgspec.Struct):
    """A metric in the JSON of prom-client (`register.getMetricsAsJSON()`)."""

    name: str
    type: str
    values: list[PromClientValue]
    help: str = ""


def of_prom_client(text: str, worker: int) -> list[OwnFamily]:
    """Return what prom-client of one worker has counted; nothing of what is no such JSON."""
    try:
        metrics = msgspec.json.decode(text, type=list[PromClientMetric])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []
    return [_of_worker(metric, worker) for metric in metrics]


def _of_worker(metric: PromClientMetric, worker: int) -> OwnFamily:
    is_counter = metric.type == "counter"
    family = metric.name.removesuffix("_total") if is_counter else metric.name
    samples = []
    for one in metric.values:
        if one.value is not None:
            name = f"{family}_total" if is_counter else one.name or metric.name
            samples.append(OwnSample(name, _labels(one.labels) | {"worker": str(worker)}, text_of(one.value)))
    return OwnFamily(family, metric.type, metric.help, samples)


def _labels(labels: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in labels.items() if value is not None}
