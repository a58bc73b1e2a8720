"""Owns what may change of the settings of an app that runs, and how words change them. Pure; supervisor and shell."""

import os
from collections.abc import Sequence
from typing import Any

import msgspec

from ..errors import UsageError
from ..suggestions import did_you_mean, harmless
from .app_config import AppConfig
from .declared import NEEDS_START, DeclaredSetting, declared_settings
from .variables import value_of_words

# The setting whose members are changed one by one: `env.PORT=80`.
MEMBER_MARK = "."
OF_KIND = ("target", "interpreter", "exec_mode")


def changed_settings(before: AppConfig, after: AppConfig) -> list[str]:
    """Return the names of the settings that differ, in the order of the declaration."""
    names = [setting.name for setting in declared_settings()]
    return [name for name in names if getattr(before, name) != getattr(after, name)]


def changed_names(before: AppConfig, after: AppConfig) -> list[str]:
    """Return the same for a person: of variables each by its own name, `env.PORT`, as `set` takes it."""
    names: list[str] = []
    maps = {setting.name for setting in declared_settings() if setting.is_map}
    for name in changed_settings(before, after):
        names += _changed_members(name, getattr(before, name), getattr(after, name)) if name in maps else [name]
    return names


def _changed_members(name: str, before: dict[str, str], after: dict[str, str]) -> list[str]:
    members = [member for member in {**before, **after} if before.get(member) != after.get(member)]
    return [f"{name}{MEMBER_MARK}{member}" for member in members]


def needing_start(before: AppConfig, after: AppConfig) -> list[str]:
    """Return those of the changed settings that no reload and no restart can apply.

    Another kind of app is another app: what makes it one needs a start as well; and another directory, where log files
    are named by paths relative to it.
    """
    needing = set(NEEDS_START)
    needing |= set(OF_KIND) if before.kind != after.kind else set()
    needing |= {"cwd"} if _has_logs_in_cwd(before) else set()
    return [name for name in changed_settings(before, after) if name in needing]


def _has_logs_in_cwd(config: AppConfig) -> bool:
    paths = (config.out_file, config.error_file, config.log_file)
    return any(path not in ("", "NULL") and not os.path.isabs(path) for path in paths)


def check_can_reload(before: AppConfig, after: AppConfig) -> None:
    """Raise if workers with the settings `after` cannot take the place of those that have `before`.

    Raises:
        UsageError: names each setting that a start is needed for, and what to type.
    """
    names = needing_start(before, after)
    if not names:
        return
    why = NEEDS_START.get(names[0], f"an app of {before.kind} does not become one of {after.kind}")
    why = "its log files are there" if names[0] == "cwd" else why
    options = " ".join(f"{_option(name)} ..." for name in names if name not in ("name", "target"))
    start = f"fastlb start {before.name} {options}".rstrip() if options else "fastlb delete"
    raise UsageError(
        f"{', '.join(names)}: this changes with a stop and a start alone, as {why}: `fastlb stop {before.name}`, then"
        f" `{start}`; nothing was changed"
    )


def changed_config(config: AppConfig, assignments: Sequence[str], unset: Sequence[str]) -> AppConfig:
    """Return `config`, changed by words; unchecked.

    Args:
        config: the settings as they are.
        assignments: NAME=VALUE, the value as in the FASTLB_ variable of the setting; env.KEY=VALUE for one variable.
        unset: names of settings that get their default again; env.KEY for a variable that goes.

    Raises:
        UsageError: a name or a value means nothing.
    """
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r} is not NAME=VALUE; --unset {text} brings its default back")
        config = _assigned(config, name, value)
    for name in unset:
        config = _unset(config, name)
    return config


def _assigned(config: AppConfig, name: str, text: str) -> AppConfig:
    setting, member = _meant(name)
    if member:
        return _replaced(config, setting, {**getattr(config, setting.name), member: text})
    try:
        return _replaced(config, setting, value_of_words(setting, text))
    except ValueError as error:
        raise UsageError(f"{setting.name}: {error}") from None


def _unset(config: AppConfig, name: str) -> AppConfig:
    setting, member = _meant(name)
    if not member:
        if setting.default is msgspec.NODEFAULT:
            raise UsageError(f"{name}: it has no default: give it another value")
        return _replaced(config, setting, setting.default)
    members: dict[str, str] = dict(getattr(config, setting.name))
    if members.pop(member, None) is None:
        raise UsageError(f"{name}: there is none{did_you_mean(member, members)}")
    return _replaced(config, setting, members)


def _replaced(config: AppConfig, setting: DeclaredSetting, value: Any) -> AppConfig:
    return msgspec.structs.replace(config, **{setting.name: value})


def _meant(name: str) -> tuple[DeclaredSetting, str]:
    """Return the setting of this name, and the name of its member, if one is meant.

    Raises:
        UsageError: there is none; says the nearest.
    """
    base, _, member = name.partition(MEMBER_MARK)
    plain = base.removeprefix("--").replace("-", "_")
    by_name = {setting.name: setting for setting in declared_settings()}
    setting = by_name.get(plain)
    if setting and (setting.is_map or not member):
        return setting, member
    if setting:
        raise UsageError(f"{name}: {plain} is one value: leave out what stands after the {MEMBER_MARK!r}")
    same = next((name for name, setting in by_name.items() if plain in setting.about.aliases), "")
    hint = f"; did you mean {same}?" if same else did_you_mean(plain, harmless(by_name))
    raise UsageError(f"there is no setting {base[:64]!r}{hint}")


def _option(name: str) -> str:
    return next(setting.option for setting in declared_settings() if setting.name == name)
