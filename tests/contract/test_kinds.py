"""A kind of workers is a folder and a line in supervisor/kinds.py: nobody else asks which kind it is."""

import re

import pytest
from fastlb.supervisor.kinds import KINDS
from fastlb.supervisor.settings.declared import declared_settings

from .sources import code_files, shown

MAY_KNOW_KINDS = (
    "supervisor/kinds.py",
    "supervisor/settings/targets.py",
    # Which option is for whom is part of the declaration of a setting.
    "supervisor/settings/app_config.py",
    *(f"supervisor/{kind}/" for kind in KINDS),
)
NAME = "|".join(KINDS)
KIND_ASKED = re.compile(rf"""(==|!=|\bin\b|\bcase\b)\s*[\[({{]?["']({NAME})["']|["']({NAME})["']\s*(==|!=)""")


def test_nobody_asks_which_kind_it_is() -> None:
    asked = [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in code_files(("supervisor", "cli"), [".py"])
        if not shown(path).startswith(MAY_KNOW_KINDS)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if KIND_ASKED.search(line)
    ]
    assert asked == []


@pytest.mark.parametrize(
    "line", ['if config.kind == "node":', 'x if "python" != kind else y', 'case "python":', 'if kind in ("node",):']
)
def test_questions_are_understood(line: str) -> None:
    assert KIND_ASKED.search(line)


def test_every_kind_that_a_setting_names_exists() -> None:
    named = {kind for setting in declared_settings() for kind in setting.about.kinds}
    assert named <= set(KINDS)


def test_settings_that_mean_nothing_to_a_kind_exist() -> None:
    names = {setting.name for setting in declared_settings()}
    assert {name for traits in KINDS.values() for name in traits.without_meaning} <= names
