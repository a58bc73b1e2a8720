"""Owns the outer shape of a configuration file: which apps it names, and in whose words. Pure; the user's shell.

Ours: `apps` is a table of names. PM2's: `apps` is a list, or `pm2` is, or the file is one app or a list of them.
"""

from typing import Any, Literal

import msgspec

from ...supervisor.errors import UsageError
from ...supervisor.pm2.keys import FILE_KEYS
from ...supervisor.suggestions import did_you_mean
from .alert_words import TABLES as ALERT_TABLES
from .places import KeyPath, Place
from .problems import Problem, error, note, warning
from .reading import FileContent

Words = Literal["ours", "pm2"]
OUR_KEYS = ("apps", "defaults")
PM2_LISTS = ("apps", "pm2")
PM2_SCRIPT_KEYS = ("script", "exec", "cmd", "command")


class AppBlock(msgspec.Struct, frozen=True):
    """What a file says of one app.

    Attributes:
        path: of the app in the file.
        values: by the file's own keys.
        name: by which the file calls it; empty: `values` may say it.
    """

    path: KeyPath
    values: dict[str, Any]
    name: str = ""


class AppBlocks(msgspec.Struct, frozen=True):
    """All apps of a file. `defaults`: what holds for each app that does not say otherwise."""

    words: Words
    blocks: list[AppBlock]
    problems: list[Problem]
    defaults: AppBlock | None = None


def app_blocks(content: FileContent) -> AppBlocks:
    """Return which apps a file names.

    Raises:
        UsageError: it names none.
    """
    data = content.data
    if content.is_toml or (isinstance(data, dict) and isinstance(data.get("apps"), dict) and not _is_app(data["apps"])):
        return _in_our_words(content)
    path, listed = _pm2_list(content)
    blocks, problems, shared = [], [], _alerts_of_all(content)
    for index, item in enumerate(listed if isinstance(listed, list) else [listed]):
        where = (*path, index) if isinstance(listed, list) else path
        if isinstance(item, dict):
            blocks.append(AppBlock(where, shared | item))
        else:
            what = f"app {index} is no object" if isinstance(listed, list) else "apps is no list of apps"
            problems.append(error(content.places.place(path), f"{what}, but {item!r:.60}"))
    return _not_empty(content, AppBlocks("pm2", blocks, problems + _other_keys(content)))


def _in_our_words(content: FileContent) -> AppBlocks:
    data, problems = content.data, []
    for key in data:
        if key not in OUR_KEYS and not key.startswith("$"):
            what = f"there is no key {key!r} at the top of a file{did_you_mean(key, OUR_KEYS)}"
            problems.append(error(content.places.place((key,)), f"{what}: apps are tables, [apps.NAME]"))
    apps = data.get("apps", {})
    if isinstance(apps, list):
        apps = {str(app.get("name", "")) if isinstance(app, dict) else "": app for app in apps}
        problems.append(error(content.places.place(("apps",)), "apps are tables with a name each: [apps.NAME]"))
    blocks = []
    for name, values in apps.items() if isinstance(apps, dict) else ():
        if isinstance(values, dict):
            blocks.append(AppBlock(("apps", name), values, name))
        else:
            problems.append(error(content.places.place(("apps", name)), f"{name} is no table: write [apps.{name}]"))
    defaults = data.get("defaults", {})
    if not isinstance(defaults, dict):
        problems.append(error(content.places.place(("defaults",)), "write a table, [defaults]"))
        defaults = {}
    return _not_empty(content, AppBlocks("ours", blocks, problems, AppBlock(("defaults",), defaults)))


def _not_empty(content: FileContent, found: AppBlocks) -> AppBlocks:
    if found.blocks or any(problem.is_error for problem in found.problems):
        return found
    how = "[apps.NAME] with a target" if content.is_toml else "apps: [{name, script}] as for PM2"
    raise UsageError(f"{content.file} names no app: give {how}")


def _pm2_list(content: FileContent) -> tuple[KeyPath, Any]:
    data = content.data
    if isinstance(data, list) or _is_app(data):
        return (), data
    if isinstance(data, dict):
        for key in PM2_LISTS:
            if isinstance(data.get(key), dict) and "apps" in data[key]:
                return (key, "apps"), data[key]["apps"]
            if data.get(key):
                return (key,), data[key]
    return ("apps",), []


def _alerts_of_all(content: FileContent) -> dict[str, Any]:
    """Return the tables about alerts that stand beside the apps."""
    data = content.data
    is_beside = isinstance(data, dict) and not _is_app(data)
    return {key: data[key] for key in ALERT_TABLES if key in data} if is_beside else {}


def _is_app(data: Any) -> bool:
    return isinstance(data, dict) and any(isinstance(data.get(key), str) for key in PM2_SCRIPT_KEYS)


def _other_keys(content: FileContent) -> list[Problem]:
    """What stands beside the apps: in a package.json it is npm's."""
    data = content.data
    if not isinstance(data, dict) or _is_app(data) or "pm2" in data:
        return []
    problems = []
    known = {key.name: key for key in FILE_KEYS}
    for key in data:
        if key in (*PM2_LISTS, *ALERT_TABLES) or key.startswith("$"):
            continue
        place: Place = content.places.place((key,))
        if key in known:
            problems.append(note(place, f"{key} is not read: {known[key].here}"))
        else:
            problems.append(warning(place, f"there is no key {key!r} beside the apps{did_you_mean(key, PM2_LISTS)}"))
    return problems
