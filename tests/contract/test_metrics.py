"""docs/metrics.md has every metric, as it is printed, and no other."""

from fastlb.supervisor.metrics.exposition import metrics_text
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from .pages import CODE, DOCS, section, table_rows

SUFFIXES = {"counter": "_total", "info": "_info"}
CONVENTIONAL_UNITS = ("seconds", "bytes")


def test_every_metric_has_its_row() -> None:
    printed = text_string_to_metric_families(metrics_text([]).decode())
    expected = [(one.name + SUFFIXES.get(one.type, ""), one.type, one.documentation) for one in printed]
    rows = table_rows(section(DOCS / "metrics.md", "All metrics"))
    assert [(CODE.findall(row[0])[0], row[1], row[-1]) for row in rows] == expected


def test_names_and_units_are_those_of_prometheus() -> None:
    for family in text_string_to_metric_families(metrics_text([]).decode()):
        assert family.name.startswith("fastlb_")
        assert not family.name.endswith(("_total", "_ms", "_us", "_percent", "_count", "_bucket", "_sum"))
        assert family.unit in ("", *CONVENTIONAL_UNITS)
        assert bool(family.unit) == family.name.endswith(CONVENTIONAL_UNITS)
