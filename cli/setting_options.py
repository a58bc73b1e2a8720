"""Owns the options that are made from the declared settings, for `start` and `run`.

Runs in the user's shell. An option that is not given has no value: so what the declaration or a stored
configuration says can still count.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..supervisor.errors import UsageError
from ..supervisor.settings.declared import DeclaredSetting, declared_settings, parse_setting
from ..supervisor.settings.quantities import check_unit_is_clear
from ..supervisor.settings.reference import default_text, value_name
from .file_options import CHOSEN_ENVIRONMENT, take_environment
from .options import AppCommand
from .watch_option import with_values

ARGUMENTS = ("target", "args")  # given by position, not by an option
# Options whose values the shell completes itself, by what their value is called.
COMPLETED_BY_THE_SHELL = {"FILE": "file", "DIR": "dir", "PROGRAM": "file"}
# How other tools' ways to say where to listen are written here.
BIND_FORMS = {"port": "127.0.0.1:{}", "host": "{}:8000", "uds": "unix:{}", "fd": "fd:{}"}


class SettingOption(click.Option):
    """The option of one setting."""

    def __init__(self, setting: DeclaredSetting) -> None:
        self.setting = setting
        self.section = setting.about.section
        super().__init__(
            _declarations(setting),
            type=bool if setting.is_flag else str,
            callback=self._parse,
            shell_complete=self._complete,
            default=None,
            multiple=setting.about.repeatable,
            metavar=None if setting.is_flag else _metavar(setting),
            help=_help(setting),
        )

    def _parse(self, ctx: click.Context, _: click.Parameter, given: Any) -> Any:
        try:
            if isinstance(given, tuple):
                return tuple(parse_setting(self.setting, text) for text in given)
            if isinstance(given, str) and self.setting.about.unit == "seconds":
                check_unit_is_clear(given)
            return parse_setting(self.setting, given) if isinstance(given, str) else given
        except ValueError as error:
            raise UsageError(f"{ctx.command_path} {self.setting.option}: {error}") from None

    def _complete(self, _: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if kind := COMPLETED_BY_THE_SHELL.get(self.setting.about.metavar):
            return [CompletionItem(incomplete, type=kind)]
        return [CompletionItem(choice) for choice in self.setting.choices if choice.startswith(incomplete)]

    def spelled_for_alias(self, alias: str, value: str) -> str:
        """Return this option as one would type it instead of another tool's `--alias value`."""
        if self.setting.name == "bind" and value:
            value = BIND_FORMS.get(alias, "{}").format(value)
        return f"{self.setting.option} {value}".rstrip()


class SettingsCommand(AppCommand):
    """A command with an option for every setting. What stands behind `--` becomes the parameter `args`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = [setting for setting in declared_settings() if setting.name not in ARGUMENTS]
        self.params += [SettingOption(setting) for setting in settings]
        self.params += [shorthand for setting in settings for shorthand in _shorthands(setting)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As AppCommand, for what stands before `--`."""
        at = args.index("--") if "--" in args else len(args)
        ctx.params["args"] = tuple(args[at + 1 :])
        before = args[:at]
        if any(parameter.name == "only" for parameter in self.params):  # it is for configuration files as well
            environment, before = take_environment(before)
            if environment is not None:
                ctx.meta[CHOSEN_ENVIRONMENT] = environment
        return super().parse_args(ctx, with_values(before, self._takes_value(), partial(self._has_excess, ctx)))

    def _takes_value(self) -> set[str]:
        options = [each for each in self.params if isinstance(each, click.Option) and not each.is_flag]
        return {name for each in options if each.name != "watch" for name in each.opts}

    def _has_excess(self, ctx: click.Context, args: list[str]) -> bool:
        try:
            return bool(self.make_parser(ctx).parse_args(list(args))[1])
        except click.UsageError:
            return False  # it is told when they are parsed for good

    def what_to_do(self, unknown: str, value: str) -> str:
        """As AppCommand, but other tools' names come first."""
        alias = unknown.lstrip("-").replace("-", "_")
        for parameter in self.params:
            if isinstance(parameter, SettingOption) and alias in parameter.setting.about.aliases:
                return f"did you mean {parameter.spelled_for_alias(alias, value)}?"
        from .other_tools import OPTIONS

        return OPTIONS.get(unknown) or super().what_to_do(unknown, value)


def _shorthands(setting: DeclaredSetting) -> list[click.Option]:
    """Return the options that stand for one value of a setting: `--fork`."""
    return [
        click.Option([word, f"--{word}"], is_flag=True, default=None, help=f"The same as {setting.option} {word}.")
        for word in setting.about.shorthands
    ]


def given_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that were given, as AppConfig holds them."""
    by_name = {setting.name: setting for setting in declared_settings()}
    given = {name: value for name, value in values.items() if value is not None and value != ()}
    for setting in by_name.values():
        for word in setting.about.shorthands:
            if given.pop(word, False):
                given.setdefault(setting.name, word)
    return {name: dict(value) if by_name[name].is_map else value for name, value in given.items()}


def _declarations(setting: DeclaredSetting) -> list[str]:
    if setting.is_flag:
        return [setting.name, f"{setting.option}/--no-{setting.option.removeprefix('--')}"]
    return [setting.name, *setting.about.flags, setting.option]


def _metavar(setting: DeclaredSetting) -> str:
    return f"[{'|'.join(setting.choices)}]" if setting.choices else value_name(setting)


def _help(setting: DeclaredSetting) -> str:
    default = default_text(setting)
    again = " May be given several times." if setting.about.repeatable else ""
    return setting.about.help + again + (f"  [default: {default}]" if default else "")
