"""`fastlb config`: the settings of an app and where they come from; the schema of files. Runs in the user's shell."""

from typing import Any

import click
import msgspec

from ...supervisor.errors import UsageError
from ...supervisor.home.app_lock import is_running
from ...supervisor.home.stored_config import load_config
from ...supervisor.settings.app_config import AppConfig
from ...supervisor.settings.declared import HIDDEN, DeclaredSetting, declared_settings
from ..apps import paths_of, read_details, resolve_name
from ..declared.requests import variable_key
from ..declared.source import load_source
from ..declared.toml_form import toml_key, toml_text, toml_value
from ..options import AppCommand, complete_names, json_option
from ..output import Output

EXAMPLES = (
    "fastlb config show shop                      # as a configuration file has it",
    "fastlb config show shop --origin             # all, and where each was said",
    "fastlb config schema > fastlb.schema.json    # for editors",
)
BUILT_IN = "built-in"


class ShownSetting(msgspec.Struct):
    """One setting in `config show --json`; `value` as in the stored configuration, secrets hidden."""

    value: Any
    origin: str


@click.command("config", cls=AppCommand, examples=EXAMPLES, short_help="Show settings of an app; the schema of files.")
@click.argument("what", type=click.Choice(["show", "schema"]))
@click.argument("name", default="", shell_complete=complete_names)
@click.option("--origin", is_flag=True, help="Show every setting, and where it was said.")
@json_option
def command(what: str, name: str, origin: bool, as_json: bool) -> None:
    """Show the settings of an app, or the JSON Schema of configuration files.

    `show NAME`: those that are not the default, as a configuration file in our words has them. What was said otherwise
    stands behind #: milliseconds of PM2's. Secret values are hidden. `schema`: editors complete and check files by it.
    """
    if what == "schema":
        from ..declared.schema import schema

        Output.for_results().json(schema())
    elif name:
        _show(name, origin, as_json)
    else:
        raise UsageError("fastlb config show: name an app")


def _show(name: str, origin: bool, as_json: bool) -> None:
    config = load_config(paths_of(resolve_name(name)))
    origins = _origins(name, config)
    if as_json:
        Output.for_results().json(_as_json(config, origins))
        return
    for setting in declared_settings():
        value = getattr(config, setting.name)
        if origin and setting.is_map and value:
            _show_members(setting, value, origins)
        elif origin or value != setting.default:
            Output.for_results().line(_line(setting, value, _remark(setting, value, origins, whole=origin)))


def _show_members(setting: DeclaredSetting, value: dict[str, str], origins: dict[str, str]) -> None:
    """Print each variable with its own origin."""
    hidden = _hidden(setting, value)
    for name in value:
        origin = origins.get(variable_key(name), origins.get(setting.name, "command line"))
        Output.for_results().line(f"{setting.name}.{toml_key(name)} = {toml_text(hidden[name])}  # {origin}")


def _line(setting: DeclaredSetting, value: Any, remark: str) -> str:
    line = f"{setting.name} = {toml_value(setting, _hidden(setting, value))}"
    return f"{line}  # {remark}" if remark else line


def _remark(setting: DeclaredSetting, value: Any, origins: dict[str, str], *, whole: bool) -> str:
    """Where a setting was said, or of that only what stands in brackets: how it was understood."""
    default = BUILT_IN if value == setting.default else "command line"
    origin = origins.get(setting.name, default)
    return origin if whole else origin.partition(" (")[2].removesuffix(")")


def _origins(name: str, config: AppConfig) -> dict[str, str]:
    """Return where the settings of an app were said, but for those that are built-in."""
    source = load_source(paths_of(name))
    if source:
        values = msgspec.structs.asdict(config) | {variable_key(name): value for name, value in config.env.items()}
        found = {name: source.origin(name, values.get(name)) for name in source.origins}
        return {name: origin for name, origin in found.items() if origin}
    return read_details(name).origins if is_running(paths_of(name)) else {}


def _hidden(setting: DeclaredSetting, value: Any) -> Any:
    if not setting.about.secret or not value:
        return value
    if setting.is_map:
        return dict.fromkeys(value, HIDDEN)
    return [HIDDEN] if setting.is_list else HIDDEN


def _as_json(config: AppConfig, origins: dict[str, str]) -> dict[str, ShownSetting]:
    shown = {}
    for setting in declared_settings():
        value = getattr(config, setting.name)
        origin = _remark(setting, value, origins, whole=True)
        shown[setting.name] = ShownSetting(_hidden(setting, value), origin)
    return shown
