"""Owns which environment variables say what an option would: FASTLB_<OPTION> for any, and those that platforms set.

Pure; supervisor and command line. What counts first is decided in cli/start_request.py. It must not know any
single setting by name: the declaration says which variables of platforms it has.
"""

import functools
import shlex
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from ..errors import UsageError
from .declared import DeclaredSetting, declared_settings, parse_setting
from .quantities import check_unit_is_clear
from .traits import WorkerTraits

PREFIX = "FASTLB_"
TYPED_ONLY = ("target", "args")
ON, OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
# How the value of a platform's variable is written as that of the option.
FORMS = {"PORT": ":{}"}


class FromVariable(msgspec.Struct, frozen=True):
    """The value of a setting, and the environment variable that said it."""

    value: Any
    variable: str


def option_variable(setting: DeclaredSetting) -> str:
    """Return the variable that says what the option of `setting` would: FASTLB_KILL_TIMEOUT for --kill-timeout."""
    return PREFIX + setting.name.upper()


@functools.cache
def option_variables() -> dict[str, DeclaredSetting]:
    """Return every variable that stands for an option, with its setting."""
    return {option_variable(setting): setting for setting in declared_settings() if setting.name not in TYPED_ONLY}


def read_option_variables(environ: Mapping[str, str]) -> dict[str, FromVariable]:
    """Return, by setting, what the FASTLB_<OPTION> in `environ` say. An empty one says nothing.

    Raises:
        UsageError: a value makes no sense; the message names the variable.
    """
    return {
        setting.name: _parsed(setting, variable, environ[variable])
        for variable, setting in option_variables().items()
        if environ.get(variable)
    }


def read_platform_variables(
    environ: Mapping[str, str], traits: WorkerTraits, spoken_for: Collection[str]
) -> dict[str, FromVariable]:
    """Return, by setting, what the variables say that platforms set, but for settings that are `spoken_for`.

    Raises:
        UsageError: a value makes no sense; the message names the variable.
    """
    found = {}
    for setting in declared_settings():
        if setting.name in spoken_for or not fits(setting, traits):
            continue
        for variable in setting.about.variables:
            # Where workers choose their address themselves, it is they who read PORT.
            if environ.get(variable) and (variable != "PORT" or traits.default_bind):
                text = FORMS.get(variable, "{}").format(environ[variable].strip())
                found[setting.name] = _parsed(setting, variable, text)
                break
    return found


def fits(setting: DeclaredSetting, traits: WorkerTraits) -> bool:
    """Whether `setting` means anything to workers of this kind."""
    is_for_kind = not setting.about.kinds or traits.kind in setting.about.kinds
    return is_for_kind and setting.name not in traits.without_meaning


def without_option_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of `environ` for an app: what was said to us is not said to a fastlb that it may start itself."""
    return {name: value for name, value in environ.items() if name not in option_variables()}


def _parsed(setting: DeclaredSetting, variable: str, text: str) -> FromVariable:
    try:
        return FromVariable(value_of_words(setting, text), variable)
    except ValueError as error:
        raise UsageError(f"{variable}: {error}") from None


def value_of_words(setting: DeclaredSetting, text: str) -> Any:
    """Return the whole value that `text` means for `setting`: for a list or a map, all of its members as shell words.

    Raises:
        ValueError: it means none; the message does not name the setting.
    """
    if setting.is_flag:
        return _flag(text)
    if setting.is_list:
        return tuple(parse_setting(setting, word) for word in shlex.split(text))
    if setting.is_map:
        return dict(parse_setting(setting, word) for word in shlex.split(text))
    if setting.about.unit == "seconds":
        check_unit_is_clear(text)
    return parse_setting(setting, text)


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in ON + OFF:
        raise ValueError(f"{text!r} is none of {', '.join(ON + OFF)}")
    return word in ON
