"""Owns which settings a start has: what was typed, what environment variables say, what was stored or
stands in a configuration file, the defaults.

Runs in the user's shell. In this order: options; FASTLB_<OPTION>; for the name of an app that was started before, how
it was; else a configuration file; the variables that platforms set (WEB_CONCURRENCY, PORT); the defaults.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..supervisor.errors import UsageError
from ..supervisor.kinds import traits_of
from ..supervisor.launch.passed_sockets import systemd_fd_count
from ..supervisor.processes.environment import holding_number, number_remark
from ..supervisor.settings.app_config import AppConfig
from ..supervisor.settings.declared import DeclaredSetting, check_config, declared_settings, format_setting
from ..supervisor.settings.variables import (
    PREFIX,
    FromVariable,
    fits,
    option_variables,
    read_option_variables,
    read_platform_variables,
)
from ..supervisor.suggestions import nearest
from .config_files.file_app import FileApp
from .launching import known_apps, new_config, stored_config


class StartRequest(msgspec.Struct, frozen=True):
    """What is to be started.

    Attributes:
        config: its settings.
        is_named: the user said the app's name, and means it.
        origins: the settings that environment variables gave, each with its variable.
        remarks: what the user may not expect, one sentence each.
    """

    config: AppConfig
    is_named: bool
    origins: dict[str, str]
    remarks: list[str]


def requested_start(
    target: str, args: Sequence[str], given: Mapping[str, Any], environ: Mapping[str, str]
) -> StartRequest:
    """Return what `target`, a target or the name of an app that was started before, asks for.

    Raises:
        UsageError: it is neither, or a setting makes no sense; one of a variable names the variable.
        FastlbError: the stored settings are damaged.
    """
    is_known = target in known_apps()
    said = {name: found for name, found in read_option_variables(environ).items() if name not in given}
    if is_known:
        said.pop("name", None)
    settings = _implied(_values(said) | dict(given))
    config = stored_config(target, args, settings) if is_known else new_config(target, args, settings)
    config, strange = _without_strange(config, said)
    traits = traits_of(config)
    remarks = [f"{said.pop(name).variable} is left out: it is not for {traits.title} apps" for name in strange]
    if not is_known:
        platform = read_platform_variables(environ, traits, _spoken_for(settings))
        config = msgspec.structs.replace(config, **_values(platform))
        said |= platform
    _check(config, {name: found.variable for name, found in said.items()})
    origins = {name: found.variable for name, found in said.items()}
    is_named = target == config.name or "name" in settings
    return StartRequest(config, is_named, origins, remarks + _numbers(config) + _misspelt(environ))


def request_of_file(
    app: FileApp, given: Mapping[str, Any], environ: Mapping[str, str], *, drops_what_does_not_fit: bool
) -> StartRequest:
    """Return what an app of a configuration file asks for.

    Args:
        app: without an error in it.
        given: options of the command line, by setting; variables of the app are added to those of the file.
        environ: of the command.
        drops_what_does_not_fit: settings that mean nothing to the app's kind are left out and told, not refused.

    Raises:
        UsageError: a setting makes no sense; the message begins with where it was said.
    """
    said = {name: found for name, found in read_option_variables(environ).items() if name not in (*given, "name")}
    settings = app.settings | _values(said) | dict(given)
    settings["env"] = _merged("env", app.settings, _values(said), given)
    target, args = settings.pop("target"), settings.pop("args", ())
    config = new_config(target, args, _implied(settings))
    labels = {name: str(origin.place) for name, origin in app.origins.items()}
    labels |= {name: found.variable for name, found in said.items()}
    strange_ones = said | (app.origins if drops_what_does_not_fit else {})
    config, strange = _without_strange(config, strange_ones)
    traits = traits_of(config)
    remarks = [f"{labels[name]}: {name} is left out: it is not for {traits.title} apps" for name in strange]
    platform = read_platform_variables(environ, traits, _spoken_for(settings))
    config = msgspec.structs.replace(config, **_values(platform))
    said |= platform
    _check(config, labels | {name: found.variable for name, found in said.items()})
    origins = {name: found.variable for name, found in said.items() if name not in strange}
    return StartRequest(config, True, origins, remarks + _numbers(config) + _misspelt(environ))


def _merged(name: str, *layers: Mapping[str, Any]) -> dict[str, str]:
    """Return a map of which each layer may say a part, the last one with the last word."""
    merged: dict[str, str] = {}
    for layer in layers:
        merged |= layer.get(name, {})
    return merged


def _without_strange(config: AppConfig, said: Mapping[str, object]) -> tuple[AppConfig, list[str]]:
    """Return the settings without those of `said` that are for other kinds of apps, and the names of these."""
    traits = traits_of(config)
    strange = [name for name in said if not fits(_declared(name), traits)]
    return msgspec.structs.replace(config, **{name: _declared(name).default for name in strange}), strange


def origins_text(config: AppConfig, origins: Mapping[str, str]) -> str:
    """Return which settings environment variables gave, in one line; empty: none."""
    settings = {setting.name: setting for setting in declared_settings()}
    given = [
        f"{settings[name].option} {format_setting(settings[name], getattr(config, name))} ({variable})"
        for name, variable in origins.items()
    ]
    return "from the environment: " + ", ".join(given) if given else ""


def _implied(settings: dict[str, Any]) -> dict[str, Any]:
    """Who says how the access log looks wants to see it."""
    is_wanted = settings.get("access_log_format") or settings.get("access_file")
    return ({"access_log": True} if is_wanted else {}) | settings


def _spoken_for(settings: Mapping[str, Any]) -> set[str]:
    """What no platform's variable is asked for: what was given, and where systemd has bound sockets for us."""
    return {*settings, *(("bind",) if systemd_fd_count() else ())}


def _values(said: Mapping[str, FromVariable]) -> dict[str, Any]:
    return {name: found.value for name, found in said.items()}


def _declared(name: str) -> DeclaredSetting:
    return next(setting for setting in declared_settings() if setting.name == name)


def _check(config: AppConfig, labels: Mapping[str, str]) -> None:
    """As check_config; a message about an option that was said elsewhere begins with where: `labels`, by setting."""
    try:
        check_config(config, traits_of(config))
    except UsageError as error:
        option = error.message.partition(" ")[0].rstrip(":")
        for name, label in labels.items():
            if _declared(name).option == option:
                raise UsageError(f"{label}: {error.message}") from None
        raise


def _numbers(config: AppConfig) -> list[str]:
    """Return a remark if variables of the settings hold a worker's number."""
    remark = number_remark(holding_number(config.env))
    return [remark] if remark else []


def _misspelt(environ: Mapping[str, str]) -> list[str]:
    """A remark for each variable that is nearly one of ours. Others are not ours: Kubernetes sets FASTLB_PORT, too."""
    ours = [*option_variables(), "FASTLB_HOME", "FASTLB_WORKER_ID"]
    unknown = [name for name in environ if name.startswith(PREFIX) and name not in ours]
    meant = {name: nearest(name, ours) for name in unknown}
    return [f"{name} is no variable of fastlb: did you mean {near}?" for name, near in meant.items() if near]
