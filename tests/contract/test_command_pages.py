"""Pages that are made of the commands and of PM2's tables are up to date, as are the schemas of what --json prints."""

import click
import pytest
from fastlb.cli import command_page, pm2_page
from fastlb.cli.json_schemas import ALWAYS_JSON, PRINTED, SCHEMA_OF, WITHOUT_JSON, schema_of, schema_text
from fastlb.cli.main import COMMANDS, cli

from .pages import DOCS


@pytest.mark.parametrize(
    ("name", "text"), [("commands.md", command_page.page()), ("coming-from-pm2.md", pm2_page.page())]
)
def test_page_is_up_to_date(name: str, text: str) -> None:
    assert (DOCS / name).read_text() == text, "run `make docs`"


@pytest.mark.parametrize("name", PRINTED)
def test_schema_is_up_to_date(name: str) -> None:
    assert (DOCS / "json" / f"{name}.schema.json").read_text() == schema_text(name), "run `make docs`"


def test_no_other_schema_is_there() -> None:
    assert {path.name for path in (DOCS / "json").iterdir()} == {f"{name}.schema.json" for name in PRINTED}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_json_with_a_schema_or_a_reason(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command
    has_option = any("--json" in parameter.opts for parameter in command.params)
    assert [has_option, name in ALWAYS_JSON, name in WITHOUT_JSON].count(True) == 1
    assert name in WITHOUT_JSON or schema_of(name) in PRINTED


def test_json_is_declared_of_commands_alone() -> None:
    assert {*SCHEMA_OF, *WITHOUT_JSON, *ALWAYS_JSON} <= set(COMMANDS)
    assert all(WITHOUT_JSON.values())
