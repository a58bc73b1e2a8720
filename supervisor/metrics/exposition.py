"""Owns how figures of apps become OpenMetrics text. Pure; the supervisor process and the user's shell.

It writes the lines itself: prometheus-client's exposition takes several times as long for many workers, and its import
longer than `fastlb list` does. In tests the library's own parser reads every line.
"""

from collections.abc import Iterable, Mapping, Sequence

from ..control.protocol import AppEntry
from .families import FAMILIES, Family, Sample
from .own_lines import own_lines
from .views import AppView, escaped

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
UNITS = ("seconds", "bytes")
END = "# EOF\n"


def metrics_text(apps: Sequence[AppEntry], machine: Mapping[str, int] | None = None) -> bytes:
    """Return what is known of apps as OpenMetrics text; of those that are AppMetrics everything.

    Args:
        apps: what each has answered.
        machine: of listen_overflows; None: nothing is said of the machine.
    """
    views = [AppView(app) for app in apps]
    lines: list[str] = []
    for family in FAMILIES:
        lines += head(family)
        lines += _lines(family.samples(views, machine or {}))
    lines += own_lines(views)
    lines.append(END)
    return "".join(lines).encode()


def head(family: Family) -> list[str]:
    """Return the lines that say what a family is."""
    name, unit = family.name, family.name.rpartition("_")[2]
    lines = [f"# HELP {name} {escaped(family.meaning)}\n", f"# TYPE {name} {family.kind}\n"]
    return [*lines, f"# UNIT {name} {unit}\n"] if unit in UNITS else lines


def _lines(samples: Iterable[Sample]) -> list[str]:
    return [f"{name}{{{labels}}} {value!r}\n" if labels else f"{name} {value!r}\n" for name, labels, value in samples]
