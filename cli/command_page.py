"""Owns docs/commands.md: written from the commands themselves, never by hand.

python -m fastlb.cli.command_page > docs/commands.md
"""

import inspect
import sys

import click

from .json_schemas import ALWAYS_JSON, WITHOUT_JSON, schema_of
from .main import ALIASES, GROUPS, cli
from .options import AppCommand
from .setting_options import SettingOption

PAGE = """\
# Commands

Every command, with its options. `make docs` writes this page from the commands; a test fails when it is stale. The
options that are settings of an app, for `start` and `run`, are in [Configuration](configuration.md); what `--json`
prints is described by the schemas in [json/](json/) and, figure by figure, in [Counters](counters.md).

Where a command takes NAME it takes the name of an app, the number of a worker, a namespace, `all`, `/a pattern/`, and
mostly several.

{groups}"""


def page() -> str:
    """Return the whole page."""
    groups = "\n".join(_group(title, names) for title, names in GROUPS.items())
    return PAGE.format(groups=groups)


def _group(title: str, names: tuple[str, ...]) -> str:
    return "\n".join([f"## {title}", "", *(_command(name) for name in names)])


def _command(name: str) -> str:
    context = click.Context(cli, info_name="fastlb")
    command = cli.get_command(context, name)
    assert isinstance(command, AppCommand)
    own = click.Context(command, info_name=name, parent=context)
    aliases = [alias for alias, meant in ALIASES.items() if meant == name]
    also = "Also: " + ", ".join(f"`{alias}`" for alias in aliases) + "." if aliases else ""
    usage = " ".join(command.collect_usage_pieces(own))
    options = [row for parameter in command.params if (row := _option(parameter, own))]
    table = ["| option | |\n|---|---|", *options] if options else []
    examples = "\n".join(["```", *command.examples, "```"])
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    parts = [f"### {name}", f"`{name} {usage}`", text, also, "\n".join(table), _json(name), examples]
    return "\n\n".join(part for part in parts if part) + "\n"


def _json(name: str) -> str:
    if name in WITHOUT_JSON:
        return f"It has no `--json`: {WITHOUT_JSON[name]}."
    schema = schema_of(name)
    what = "What it prints" if name in ALWAYS_JSON else "`--json`"
    return f"{what}: [{schema}](json/{schema}.schema.json)."


def _option(parameter: click.Parameter, context: click.Context) -> str:
    if not isinstance(parameter, click.Option) or isinstance(parameter, SettingOption):
        return ""
    record = parameter.get_help_record(context)
    if record is None or record[0] == "--no-color":
        return ""
    return f"| `{record[0]}` | {record[1]} |".replace("[A|", "[A\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
