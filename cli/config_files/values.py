"""Owns what a value in a configuration file means for one of our settings. Pure; the user's shell.

The declaration of the settings says what a text means, as on the command line; a file has numbers, truth values, arrays
and objects as well.
"""

import shlex
from collections.abc import Mapping
from typing import Any, Literal

from ...supervisor.settings.declared import DeclaredSetting, declared_settings, parse_setting
from ...supervisor.settings.env_names import FILTER_ALL
from ...supervisor.settings.quantities import check_unit_is_clear

# What a number without a unit means where the setting is a duration.
TimeUnit = Literal["seconds", "milliseconds"]
TRUTH = {"true": True, "false": False}


def settings_by_name() -> dict[str, DeclaredSetting]:
    """Return the declared settings by name."""
    return {setting.name: setting for setting in declared_settings()}


def setting_value(setting: DeclaredSetting, value: Any, unit: TimeUnit = "seconds") -> Any:
    """Return what `value` means for `setting`, as AppConfig holds it.

    Raises:
        ValueError: it means nothing; the message does not name the setting.
    """
    if setting.is_flag:
        return _flag(value)
    if setting.is_map:
        return variables(value)
    if setting.is_list:
        return _list(setting, value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{shown(value)} is no {_expected(setting)}")
    return _scalar(setting, value, unit)


def variables(value: Any) -> dict[str, str]:
    """Return environment variables: numbers and truth values as texts, null left out, objects as JSON.

    Raises:
        ValueError: `value` is no object.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{shown(value)} is no object of variables")
    return {name: _variable(item) for name, item in value.items() if item is not None}


def shown(value: Any) -> str:
    """Return a value as a message shows it: JSON, shortened."""
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _variable(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        value = TRUTH.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is neither true nor false")
    return value


def _list(setting: DeclaredSetting, value: Any) -> tuple[Any, ...]:
    """A text is words as a shell splits them, but of a setting that is no part of a command line: one item."""
    if isinstance(value, str):
        value = _words(value) if setting.name in ("args", "interpreter_args") else [value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = [value]
    if isinstance(value, bool) and setting.name in ("filter_env", "watch"):
        value = [FILTER_ALL] if value else []
    if not isinstance(value, list):
        raise ValueError(f"{shown(value)} is no array")
    return tuple(parse_setting(setting, _text(item)) for item in value)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{shown(text)}: {str(error).lower()}") from None


def _scalar(setting: DeclaredSetting, value: str | int | float, unit: TimeUnit) -> Any:
    text = _text(value)
    if setting.about.unit == "seconds":
        if unit == "milliseconds" and _is_number(text):
            text += "ms"
        check_unit_is_clear(text)
    return parse_setting(setting, text)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{shown(value)} is no text")
    return f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()


def _expected(setting: DeclaredSetting) -> str:
    if setting.choices:
        return "text: give " + " or ".join(setting.choices)
    if setting.about.unit == "seconds":
        return "duration: give 30s, for one"
    if setting.about.unit == "bytes":
        return "size: give 500M, for one"
    return "whole number" if setting.type is int else "text"
