"""Owns the apps of a file in our own words: keys are the names of the settings. Pure; the user's shell."""

from collections.abc import Iterable
from typing import Any

from ...supervisor.pm2.keys import find_key
from ...supervisor.settings.declared import WORDS, DeclaredSetting
from ...supervisor.suggestions import did_you_mean
from .alert_words import alert_words, is_alert_table, no_effect
from .blocks import AppBlock
from .file_app import FileApp, Origin
from .places import KeyPath, KeyPlaces, Place
from .problems import Problem, error, warning
from .values import setting_value, settings_by_name, variables

ENVIRONMENT_PREFIX = "env_"


class OurWords:
    """Reads the apps of one file.

    Args:
        places: of the file's keys.
        defaults: what holds for each app that does not say otherwise; None: nothing.
    """

    def __init__(self, places: KeyPlaces, defaults: AppBlock | None) -> None:
        self._places = places
        self._defaults = defaults
        self._settings = settings_by_name()

    def app(self, block: AppBlock, environment: str) -> FileApp:
        """Return the app of a block; `environment`: which `env_NAME` is put over `env`, empty: none."""
        app = FileApp(name=block.name, place=self._places.place(block.path), environment=environment)
        for source in (self._defaults, block):
            if source:
                self._add(app, source)
        if "name" in app.settings:
            app.problems.append(error(app.place, "the name stands in the head of the table: leave `name` out"))
        if "target" not in app.settings:
            app.problems.append(error(app.place, f"{block.name} says no target: what is to run?"))
        app.settings["name"] = block.name
        return app

    def _add(self, app: FileApp, block: AppBlock) -> None:
        chosen = ENVIRONMENT_PREFIX + app.environment
        for key, value in block.values.items():
            path = (*block.path, key)
            if is_alert_table(key, value):
                self._add_alerts(app, key, value, path)
            elif key in self._settings:
                self._set(app, self._settings[key], value, path)
            elif key.startswith(ENVIRONMENT_PREFIX):
                self._add_environment(app, key, value, path)
            else:
                app.problems.append(unknown_setting(self._places.place(path), key, self._settings.values()))
        if app.environment and chosen in block.values:
            self._set(app, self._settings["env"], block.values[chosen], (*block.path, chosen))

    def _add_alerts(self, app: FileApp, key: str, value: Any, path: KeyPath) -> None:
        try:
            for word in alert_words(key, value):
                if word.setting:
                    self._set(app, word.setting, word.value, (*path[:-1], *word.path))
                else:
                    app.problems.append(no_effect(self._places.place((*path[:-1], *word.path)), word))
        except ValueError as problem:
            app.problems.append(error(self._places.place(path), f"{key}: {problem}"))

    def _add_environment(self, app: FileApp, key: str, value: Any, path: KeyPath) -> None:
        name = key.removeprefix(ENVIRONMENT_PREFIX)
        try:
            app.environments[name] = app.environments.get(name, {}) | variables(value)
        except ValueError as problem:
            app.problems.append(error(self._places.place(path), f"{key}: {problem}"))

    def _set(self, app: FileApp, setting: DeclaredSetting, value: Any, path: KeyPath) -> None:
        place = self._places.place(path)
        if not place.line:  # it stands in a table of one line, which has a place
            place = self._places.place(path[:-1])
        try:
            found = setting_value(setting, value)
        except ValueError as problem:
            app.problems.append(error(place, f"{path[-1]}: {problem}"))
            return
        if setting.is_map:
            self._note_variables(app, found, path)
            found = app.settings.get(setting.name, {}) | found
        app.settings[setting.name] = found
        app.origins[setting.name] = Origin(place, value if value in WORDS.get(setting.name, ()) else "")

    def _note_variables(self, app: FileApp, found: dict[str, str], path: KeyPath) -> None:
        how = "" if path[-1] == "env" else str(path[-1])
        for name, value in found.items():
            app.variables[name] = Origin(self._places.place((*path, name), value), how)


def unknown_setting(place: Place, key: str, settings: Iterable[DeclaredSetting]) -> Problem:
    """Return the error for a key that is no setting, with the one that was meant."""
    settings = list(settings)
    what = f"there is no setting {key!r}"
    for setting in settings:
        if key in setting.about.aliases:
            return error(place, f"{what}; did you mean {setting.name}?")
    there = find_key(key)
    if there and there.setting in {setting.name for setting in settings}:
        return error(place, f"{what}; did you mean {there.setting}?")
    if there:
        return error(place, f"{what}: {there.here}")
    return error(place, what + did_you_mean(key, [setting.name for setting in settings]))


def unknown_environments(apps: list[FileApp], file: Place) -> list[Problem]:
    """Return a warning for each environment that was chosen, and that no app has."""
    there = list(dict.fromkeys(name for app in apps for name in app.environments))
    missing = dict.fromkeys(app.environment for app in apps if app.environment and app.environment not in there)
    known = f": it has {', '.join(f'env_{name}' for name in there)}" if there else ", nor any other env_NAME"
    return [
        warning(file, f"there is no env_{name} in it{known}{did_you_mean(name, there)}") for name in missing
    ]
