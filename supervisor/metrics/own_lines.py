"""Owns how what apps count themselves is joined into a scrape of several. Pure; supervisor and shell."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..control.protocol import OwnFamily, OwnSample
from .views import AppView, escaped, quoted

APP_LABEL = "app"
EXPORTED = "exported_"  # in front of a label of the app's that has our name, as Prometheus does it


class _Joined(NamedTuple):
    """A family of several apps; the first has said what it is."""

    family: OwnFamily
    lines: list[str]


def own_lines(apps: Sequence[AppView]) -> Iterable[str]:
    """Return the lines of all families, each once; of an app that means another kind by its name nothing."""
    found: dict[str, _Joined] = {}
    for app in apps:
        for family in app.metrics.own if app.metrics else ():
            joined = found.setdefault(family.name, _Joined(family, []))
            if joined.family.kind == family.kind:
                joined.lines.extend(_line(app, sample) for sample in family.samples)
    for family, lines in found.values():
        yield f"# HELP {family.name} {escaped(family.meaning)}\n"
        yield f"# TYPE {family.name} {family.kind}\n"
        yield from lines


def _line(app: AppView, sample: OwnSample) -> str:
    pairs = ((EXPORTED + label if label == APP_LABEL else label, value) for label, value in sample.labels.items())
    labels = ",".join([app.labels, *(quoted(*pair) for pair in pairs)])
    return f"{sample.name}{{{labels}}} {sample.value}\n"
