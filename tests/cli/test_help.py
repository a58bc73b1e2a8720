"""Every command explains itself, with examples that it would understand."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from fastlb.cli.main import ALIASES, COMMANDS, cli
from fastlb.cli.options import AppCommand
from fastlb.supervisor.settings.declared import declared_settings


def command(name: str) -> AppCommand:
    found = cli.get_command(click.Context(cli), name)
    assert isinstance(found, AppCommand)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_of_the_command(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.output
    names = {name} | {alias for alias, meant in ALIASES.items() if meant == name}
    assert all(example.partition("fastlb ")[2].split()[0] in names for example in command(name).examples)
    assert f"fastlb {name}" in result.output


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_into_80_columns(name: str) -> None:
    lines = CliRunner().invoke(cli, [*name.split(), "--help"], env={"COLUMNS": "80"}).output.splitlines()
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_called_as_its_module(name: str) -> None:
    assert command(name).name == name
    assert command(name).short_help


@pytest.mark.parametrize("alias", ALIASES)
def test_alias_is_the_command_itself(alias: str) -> None:
    assert command(alias) is command(ALIASES[alias])


def test_help_of_start_names_every_setting() -> None:
    text = CliRunner().invoke(cli, ["start", "--help"]).output
    missing = [s.option for s in declared_settings() if s.option not in text]
    assert missing == ["--target", "--args"]
    assert "[default: 30s]" in text


def test_list_loads_little() -> None:
    heavy = {"rich", "asyncio", "psutil", "fastlb.lb", "fastlb.supervisor.settings.declared"}
    code = f"import sys, fastlb.cli.main, fastlb.cli.commands.list; print({heavy} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed == "set()\n"
