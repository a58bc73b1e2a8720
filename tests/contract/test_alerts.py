"""docs/alerts.md has every alert, with the defaults of its settings, and every member of what is told."""

import re

from fastlb.supervisor.alerts.message import Message
from fastlb.supervisor.settings.alerting import ALERT_NAMES
from fastlb.supervisor.settings.declared import declared_settings
from fastlb.supervisor.settings.reference import default_text

from .pages import CODE, DOCS

PAGE = DOCS / "alerts.md"
# `alert_cpu` (80): a setting with its default.
WITH_DEFAULT = re.compile(r"`(alert_\w+)` \(([\w.]+)\)")


def first_cells() -> list[str]:
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return [name for row in rows for name in CODE.findall(row)]


def test_every_alert_has_its_row() -> None:
    assert [name for name in ALERT_NAMES if name not in first_cells()] == []


def test_every_member_of_a_message_has_its_row() -> None:
    assert [name for name in Message.__struct_fields__ if name not in first_cells()] == []


def test_defaults_are_those_of_the_settings() -> None:
    defaults = {setting.name: default_text(setting).replace("`", "") for setting in declared_settings()}
    said = WITH_DEFAULT.findall(PAGE.read_text())
    assert len(said) > 6
    assert [one for one in said if defaults[one[0]] != one[1]] == []


def test_every_setting_is_named_by_the_page() -> None:
    names = [setting.name for setting in declared_settings() if setting.name.startswith("alert_")]
    assert [name for name in names if f"`{name}`" not in PAGE.read_text()] == []
