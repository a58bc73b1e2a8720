"""The dashboard and the rules of alerts in examples/ ask for metrics, labels and words that there are."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from fastlb.supervisor.metrics.families import FAMILIES

from .pages import CODE, DOCS, section, table_rows
from .sources import ROOT

RULES = ROOT / "examples" / "alert-rules.yml"
DASHBOARD = ROOT / "examples" / "grafana-dashboard.json"
SUFFIXES = {
    "counter": ("_total",),
    "info": ("_info",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
}
STAT_OPTIONS = {"graphMode", "colorMode", "justifyMode", "textMode", "wideLayout", "showPercentChange", "orientation"}
REQUIRED_OPTIONS = {"stat": STAT_OPTIONS | {"reduceOptions"}, "timeseries": {"legend", "tooltip"}}
SELECTOR = re.compile(r"(fastlb_\w+)(?:\{([^}]*)\})?")
BY = re.compile(r"\b(?:by|on) \(([^)]*)\)")
LABEL = re.compile(r"(\w+)\s*(?:=~|!=|=)")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return list(json.loads(DASHBOARD.read_text())["panels"])


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


def labels_of_samples() -> dict[str, set[str]]:
    """Return the labels of every sample that a scrape may hold, by its name."""
    rows = table_rows(section(DOCS / "metrics.md", "All metrics"))
    labels = {CODE.findall(row[0])[0]: set(CODE.findall(row[2])) for row in rows}
    found: dict[str, set[str]] = {}
    for family in FAMILIES:
        suffixes = SUFFIXES.get(family.kind, ("",))
        own = labels.get(family.name + suffixes[0]) or labels.get(family.name) or set()
        found |= {family.name + suffix: own for suffix in suffixes}
    return found


def test_expressions_ask_for_what_there_is() -> None:
    known = labels_of_samples()
    for expression in expressions():
        asked = SELECTOR.findall(expression)
        for name, selected in asked:
            assert name in known, f"{expression}: there is no {name}"
            labels = set(LABEL.findall(selected))
            assert labels <= known[name], f"{expression}: {name} has no {labels - known[name]}"
        grouped = {label.strip() for labels in BY.findall(expression) for label in labels.split(",")}
        assert grouped <= set().union(*(known[name] for name, _ in asked)), expression


def test_rules_say_what_is_wrong_of_which_app() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) > 8
    for rule in rules():
        assert "{{ $labels.app }}" in rule["annotations"]["summary"], rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = {(x, y) for x in columns for y in rows}
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_prometheus_understands_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool (Debian: prometheus)")
    result = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


def test_dashboard_has_what_grafana_requires() -> None:
    """Names: jsonschema/dashboard, stat and timeseries of grafana-foundation-sdk, which Grafana publishes."""
    dashboard = json.loads(DASHBOARD.read_text())
    assert {"schemaVersion", "templating", "annotations", "panels"} <= dashboard.keys()
    for panel in dashboard["panels"]:
        assert {"type", "gridPos", "targets", "fieldConfig"} <= panel.keys(), panel["title"]
        assert REQUIRED_OPTIONS[panel["type"]] <= panel["options"].keys(), panel["title"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
