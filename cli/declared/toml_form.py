"""Owns writing settings as TOML in our words. Pure; the user's shell."""

import json
import os
import re
from collections.abc import Sequence
from typing import Any

from ...supervisor.settings.declared import WORDS, DeclaredSetting, declared_settings, format_setting
from ..config_files.file_app import FileApp
from ..config_files.problems import Problem

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Said by the head of the table.
IN_THE_HEAD = ("name",)


def toml_value(setting: DeclaredSetting, value: Any) -> str:
    """Return the value of a setting as it stands behind `=`; durations and sizes with their unit."""
    if setting.is_flag:
        return str(value).lower()
    if setting.is_map:
        return "{" + ", ".join(f"{toml_key(name)} = {toml_text(item)}" for name, item in value.items()) + "}"
    if setting.is_list:
        return "[" + ", ".join(toml_text(item) if isinstance(item, str) else str(item) for item in value) + "]"
    if setting.about.unit:
        return toml_text(format_setting(setting, value))
    return toml_text(value) if isinstance(value, str) else str(value)


def toml_key(name: str) -> str:
    """Return a key as TOML writes it: in quotes where it must."""
    return name if _BARE_KEY.fullmatch(name) else toml_text(name)


def file_in_our_words(apps: Sequence[FileApp], directory: str, problems: Sequence[Problem] = ()) -> str:
    """Return fastlb.toml with these apps.

    Args:
        apps: without errors in them.
        directory: where the file will be; an app whose working directory it is needs no `cwd`.
        problems: of the file as a whole, which become comments.
    """
    comments = [f"# {problem.severity}: {problem}" for problem in problems]
    return "\n\n".join(filter(None, ["\n".join(comments), *(_table(app, directory) for app in apps)])) + "\n"


def _table(app: FileApp, directory: str) -> str:
    said = dict(app.settings)
    cwd = os.path.relpath(said.pop("cwd", directory), directory)
    said |= {"cwd": said["cwd"]} if "cwd" in said else {}
    lines = [f"# {problem.severity}: {problem.text}" for problem in app.problems if not problem.is_error]
    lines.append(f"[apps.{toml_key(app.name)}]")
    if not app.autostart:
        lines.insert(0, "# autostart was false: `fastlb start FILE --only ...` chooses what is started")
    for setting in declared_settings():
        if setting.name == "cwd" and cwd != ".":
            lines.append(f"cwd = {toml_text(cwd if not cwd.startswith('..') else app.settings['cwd'])}")
        elif setting.name in said and setting.name not in IN_THE_HEAD:
            lines.append(f"{setting.name} = {_written(app, setting)}")
    env = next(setting for setting in declared_settings() if setting.name == "env")
    lines += [f"{toml_key(f'env_{name}')} = {toml_value(env, values)}" for name, values in app.environments.items()]
    return "\n".join(lines)


def _written(app: FileApp, setting: DeclaredSetting) -> str:
    """A word that means another number on another machine stays a word; what surprises has a comment."""
    note = app.origins[setting.name].note if setting.name in app.origins else ""
    word = note.partition(":")[0]
    if setting.name in WORDS and word in ("max", "0"):
        return toml_text("max")
    value = toml_value(setting, app.settings[setting.name])
    return f"{value}  # {note}" if note else value


def toml_text(value: str) -> str:
    """Return a text in quotes: as in JSON, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
