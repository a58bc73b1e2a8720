"""docs/control-protocol.md and its schema are what the types of the protocol say, and know recorded answers."""

import json
from typing import Any

import msgspec
import pytest
from fastlb.cli.protocol_page import NOTIFICATIONS, SCHEMA_FILE, page, schema_text, type_text
from fastlb.supervisor.control.protocol import FROZEN_METHODS, METHODS

from .pages import DOCS
from .sources import ROOT

SCHEMA: dict[str, Any] = json.loads(schema_text())


def test_page_is_up_to_date() -> None:
    assert (DOCS / "control-protocol.md").read_text() == page(), "run `make docs`"


def test_schema_is_up_to_date() -> None:
    assert (DOCS / SCHEMA_FILE).read_text() == schema_text(), "run `make docs`"


def test_every_method_is_there_and_the_frozen_ones_are_marked() -> None:
    assert set(SCHEMA["methods"]) == set(METHODS)
    assert [name for name, method in SCHEMA["methods"].items() if method["frozen"]] == list(FROZEN_METHODS)
    assert all(f"### {name} (frozen)\n" in page() for name in FROZEN_METHODS)
    assert set(NOTIFICATIONS) <= set(METHODS)


def test_every_reference_leads_to_a_type() -> None:
    text = schema_text()
    named = {part.partition('"')[0] for part in text.split("#/$defs/")[1:]}
    assert named <= set(SCHEMA["$defs"])


def test_recorded_answers_have_what_the_schema_requires() -> None:
    recorded = (ROOT / "tests" / "support" / "recorded" / "control_protocol_1.jsonl").read_text().splitlines()
    for line in map(json.loads, recorded):
        result = SCHEMA["methods"][line["method"]]["result"]["$ref"].rpartition("/")[2]
        if "result" in line["reply"]:
            assert set(SCHEMA["$defs"][result]["required"]) <= set(line["reply"]["result"])


@pytest.mark.parametrize(
    ("kind", "text"),
    [(int | None, "int or None"), (list[msgspec.Raw], "list[Raw]"), (dict[str, int], "dict[str, int]"), (str, "str")],
)
def test_types_are_named_as_people_do(kind: Any, text: str) -> None:
    assert type_text(kind) == text
