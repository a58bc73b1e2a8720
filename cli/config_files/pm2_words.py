"""Owns the apps of a file in PM2's words: what each key means here. Pure; the user's shell.

The table of the keys is in supervisor/pm2/keys.py; here is what values mean that are written otherwise there. Settings
that are ours alone may stand among them; a number is milliseconds for these, too. What has no effect is said, never
dropped.
"""

import re
from collections.abc import Callable
from typing import Any

from ...supervisor.pm2.key import Pm2Key
from ...supervisor.pm2.keys import KEYS, find_key
from ...supervisor.settings.app_config import MAX_WORKERS
from ...supervisor.settings.cpus import usable_cpus
from ...supervisor.settings.declared import DeclaredSetting
from ...supervisor.settings.most_workers import usable_workers
from ...supervisor.settings.targets import name_from_target, usable_name
from ...supervisor.suggestions import did_you_mean
from ..serving_files import SCRIPT, site_of_pm2
from .alert_words import alert_words, is_alert_table, no_effect
from .blocks import AppBlock
from .file_app import FileApp, Origin
from .places import KeyPath, KeyPlaces, Place
from .problems import error, note, warning
from .values import setting_value, settings_by_name, shown, variables

ENVIRONMENT = "env_*"
# A script of PM2's with a space in it is a line for bash. What a shell alone understands needs one here, too.
_SHELL_SYNTAX = re.compile(r"[|&;<>$`*?]|\A\w+=")


class Pm2Words:
    """Reads the apps of one file; `places`: of its keys."""

    def __init__(self, places: KeyPlaces) -> None:
        self._places = places
        self._settings = settings_by_name()

    def app(self, block: AppBlock, environment: str) -> FileApp:
        """Return the app of a block; `environment`: which `env_NAME` is put over `env`, empty: none."""
        app = FileApp(name="", place=self._places.place(block.path), environment=environment)
        for key, value in block.values.items():
            place = self._places.place((*block.path, key), value)
            known = self._find(key)
            if value is None:
                continue
            if known is None:
                what = f"there is no key {key!r}, in PM2 neither, so it has no effect"
                app.problems.append(warning(place, what + did_you_mean(key, _key_names())))
                continue
            try:
                self._take(app, known, block.path, (key, value))
            except ValueError as problem:
                app.problems.append(error(place, f"{key}: {problem}"))
        self._choose_environment(app, block)
        self._finish(app)
        if not app.place.line and "name" in app.origins:
            app.place = app.origins["name"].place
        return app

    def _find(self, key: str) -> Pm2Key | None:
        found = find_key(key)
        if found is None and key in self._settings:
            return Pm2Key(name=key, there="", verdict="not here", here="", setting=key, number_unit="milliseconds")
        return found

    def _take(self, app: FileApp, known: Pm2Key, path: KeyPath, said: tuple[str, Any]) -> None:
        key, value = said
        place = self._places.place((*path, key), value)
        if known.name == ENVIRONMENT:
            app.environments[key.removeprefix("env_")] = variables(value)
        elif known.variable:
            self._add_variables(app, {known.variable: value}, place)
            app.variables[known.variable] = Origin(place)
        elif known.name == "env":
            self._add_variables(app, value, place)
            self._note_variables(app, (*path, key))
        elif is_alert_table(known.name, value):
            self._take_alerts(app, known, path, value)
        elif known.name == "autostart":
            app.autostart = setting_value(self._settings["autorestart"], value)
        elif known.setting in self._settings:
            self._set(app, known, value, place)
        elif known.name == "execute_command" and value is True:
            app.settings["exec_mode"], app.origins["exec_mode"] = "fork", Origin(place)
        elif value is not False:  # what is turned off is off
            why = "nothing reads it" if known.setting else known.here
            app.problems.append(note(place, f"{key} has no effect here: {why}"))

    def _set(self, app: FileApp, known: Pm2Key, value: Any, place: Place) -> None:
        setting = self._settings[known.setting]
        meaning = MEANINGS.get(known.name, _usual)
        app.settings[setting.name], how = meaning(known, setting, value)
        app.origins[setting.name] = Origin(place, how)
        if setting.name == "name" and how:
            app.problems.append(note(place, f"the app is called {app.settings['name']}, not {how}"))

    def _take_alerts(self, app: FileApp, known: Pm2Key, path: KeyPath, value: Any) -> None:
        for word in alert_words(known.name, value):
            place = self._places.place((*path, *word.path), word.value)
            if not word.setting:
                app.problems.append(no_effect(place, word))
                continue
            app.settings[word.setting.name], how = _usual(known, word.setting, word.value)
            app.origins[word.setting.name] = Origin(place, how)

    def _add_variables(self, app: FileApp, value: Any, place: Place) -> None:
        app.settings["env"] = app.settings.get("env", {}) | variables(value)
        app.origins["env"] = Origin(place)

    def _note_variables(self, app: FileApp, path: KeyPath) -> None:
        how = "" if path[-1] == "env" else str(path[-1])
        said = app.settings["env"] if path[-1] == "env" else app.environments[app.environment]
        for name, value in said.items():
            if how or name not in app.variables:
                app.variables[name] = Origin(self._places.place((*path, name), value), how)

    def _choose_environment(self, app: FileApp, block: AppBlock) -> None:
        key = f"env_{app.environment}"
        if app.environment and key in block.values:
            path = (*block.path, key)
            self._add_variables(app, app.environments.get(app.environment, {}), self._places.place(path))
            self._note_variables(app, path)

    def _finish(self, app: FileApp) -> None:
        if "target" not in app.settings:
            app.problems.append(error(app.place, "an app says no script: what is to run?"))
            return
        script = app.settings["target"]
        if script == SCRIPT and "interpreter" not in app.settings:
            app.settings = site_of_pm2(app.settings)
            app.name = app.settings["name"]
            return
        if " " in script.strip() and _SHELL_SYNTAX.search(script) and "interpreter" not in app.settings:
            app.settings |= {"target": "bash", "args": ("-c", script), "exec_mode": "fork"}
            app.problems.append(note(app.origins["target"].place, "the script is a line for a shell: bash runs it"))
        settings = app.settings
        mode = settings.get("exec_mode", "fork")
        app.name = settings.get("name") or name_from_target(script, settings.get("interpreter", ""), mode)
        settings |= {"name": app.name} if app.name else {}


def _key_names() -> list[str]:
    return [name for section in KEYS for key in section.keys for name in key.names if name != ENVIRONMENT]


def _usual(known: Pm2Key, setting: DeclaredSetting, value: Any) -> tuple[Any, str]:
    is_number = isinstance(value, int | float) or (isinstance(value, str) and value.strip().isdigit())
    if setting.about.unit == "seconds" and known.number_unit == "milliseconds" and is_number:
        return setting_value(setting, value, "milliseconds"), f"{value}, milliseconds"
    return setting_value(setting, value), ""


def _instances(_: Pm2Key, setting: DeclaredSetting, value: Any) -> tuple[Any, str]:
    """`max` and 0 are every CPU, a negative number all but so many."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value.strip()):
        value = int(value)
    if value in ("max", 0):
        return min(usable_workers(), MAX_WORKERS), f"{value}: the CPUs, and the memory, that this process may use"
    if isinstance(value, int) and value < 0 and not isinstance(value, bool):
        return max(1, usable_cpus() + value), f"{value}: all CPUs but {-value}"
    return setting_value(setting, value), ""


def _exec_mode(_: Pm2Key, setting: DeclaredSetting, value: Any) -> tuple[Any, str]:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is neither cluster nor fork")
    return setting_value(setting, value.removesuffix("_mode")), ""


def _name(_: Pm2Key, setting: DeclaredSetting, value: Any) -> tuple[Any, str]:
    text = setting_value(setting, value)
    name = usable_name(text)
    if not name:
        raise ValueError(f"{shown(value)} has no character that a name may have: letters, digits, . _ -")
    return name, f"{shown(value)}, of which a name may have letters, digits, . _ -" if name != text else ""


def _words_or_off(known: Pm2Key, setting: DeclaredSetting, value: Any) -> tuple[Any, str]:
    """A log file that is turned off."""
    if value in ("NULL", "/dev/null", False):
        return "NULL", ""
    return _usual(known, setting, value)


MEANINGS: dict[str, Callable[[Pm2Key, DeclaredSetting, Any], tuple[Any, str]]] = {
    "instances": _instances,
    "exec_mode": _exec_mode,
    "name": _name,
    "out_file": _words_or_off,
    "error_file": _words_or_off,
    "log_file": _words_or_off,
}
