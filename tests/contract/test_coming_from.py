"""The pages for those who come from gunicorn and uvicorn: every option of theirs is there, and every answer exists."""

import importlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

import pytest
from fastlb.cli.other_tools import OPTIONS as WITHOUT_COUNTERPART
from fastlb.supervisor.settings.declared import declared_settings

from .gunicorn_options import installed, recorded
from .pages import CODE, DOCS, section, table_rows

GUNICORN, UVICORN = DOCS / "from-gunicorn.md", DOCS / "from-uvicorn.md"
# A word that means another thing there.
ANOTHER_MEANING = {"reload_delay"}


def uvicorn_options() -> dict[str, str]:
    """Return the name of every option of the installed uvicorn, with how it is typed."""
    command = importlib.import_module("uvicorn.main").main
    return {option.name: option.opts[0] for option in command.params if option.opts[0].startswith("--")}


def gunicorn_options() -> dict[str, str]:
    record = recorded()
    return {name: record.option_of(name) for name in record.settings}


def rows_of(page: Path) -> dict[str, list[str]]:
    """Return what stands in the table of options, by the option there: the cells behind it."""
    return {CODE.findall(row[0])[0]: row[1:] for row in table_rows(section(page, "Options"))}


SIDES = pytest.mark.parametrize(
    ("page", "options"), [(GUNICORN, gunicorn_options()), (UVICORN, uvicorn_options())], ids=["gunicorn", "uvicorn"]
)


@SIDES
def test_every_option_there_has_its_row(page: Path, options: Mapping[str, str]) -> None:
    assert sorted(rows_of(page)) == sorted(options.values())


@SIDES
def test_no_row_is_without_an_answer(page: Path, options: Mapping[str, str]) -> None:
    assert [there for there, cells in rows_of(page).items() if not any(cells)] == []


@SIDES
def test_every_option_here_exists(page: Path, options: Mapping[str, str]) -> None:
    ours = {setting.option for setting in declared_settings()}
    named = {(there, here) for there, cells in rows_of(page).items() for here in CODE.findall(cells[0])}
    assert {(there, here) for there, here in named if here not in ours} == set()


@SIDES
def test_what_the_declaration_calls_the_same_is_the_same(page: Path, options: Mapping[str, str]) -> None:
    rows = rows_of(page)
    missing = []
    for setting in declared_settings():
        same = {setting.name, *setting.about.aliases} - ANOTHER_MEANING
        for name in same & set(options):
            if f"`{setting.option}`" not in rows[options[name]][0]:
                missing.append(f"{options[name]}: {setting.option}")
    assert missing == []


@SIDES
def test_what_is_refused_on_the_command_line_has_no_counterpart(page: Path, options: Mapping[str, str]) -> None:
    ours = {setting.option for setting in declared_settings()}
    rows = rows_of(page)
    refused = [option for option in options.values() if option in WITHOUT_COUNTERPART and option not in ours]
    has_one = {option: rows[option][0] for option in refused if rows[option][0] in (f"`{name}`" for name in ours)}
    # What is said there names the option as well.
    assert [option for option, here in has_one.items() if here.strip("`") not in WITHOUT_COUNTERPART[option]] == []


def test_pages_are_about_the_releases_that_were_looked_at() -> None:
    assert f"gunicorn {recorded().version}." in GUNICORN.read_text().replace(", by option", ".")
    assert f"uvicorn {importlib.metadata.version('uvicorn')}" in UVICORN.read_text()


def test_record_is_that_of_the_installed_gunicorn() -> None:
    pytest.importorskip("gunicorn")
    assert installed() == recorded(), "a new gunicorn: record its options anew, and look at the page"
