"""Owns what has to be done so that what runs matches a configuration file: a step for each app. Pure; the shell."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ...supervisor.settings.app_config import AppConfig
from ...supervisor.settings.changes import needing_start
from ...supervisor.settings.declared import DeclaredSetting, declared_settings, format_setting
from .order import Verb
from .requests import Wanted
from .source import AppSource

# start: it does not run. define: it is to be known and not to run. leave: it runs as the file says. scale, reload,
# restart: as the commands. renew: stop it and start it. remove: stop it and forget it. refuse: the name is another's.
Action = Literal["start", "define", "leave", "scale", "reload", "restart", "renew", "remove", "refuse"]
# How it is said what will be done.
DOING: Mapping[Action, str] = {
    "start": "start",
    "define": "note, without starting it (autostart is false)",
    "leave": "runs as the file says",
    "scale": "scale",
    "reload": "reload",
    "restart": "restart",
    "renew": "stop and start, as no reload can change ",
    "remove": "stop and delete, as the file has it no more",
    "refuse": "leave",
}


class Present(msgspec.Struct, frozen=True):
    """What is known of an app. `config`: None if it cannot be read. `source`: None if it comes from no file."""

    config: AppConfig | None
    is_running: bool
    source: AppSource | None = None


class Difference(msgspec.Struct, frozen=True):
    """A setting that the file changes. `text`: from what to what, fit to be shown."""

    setting: str
    text: str
    needs_start: bool = False


class Step(msgspec.Struct, frozen=True):
    """What is to be done with one app.

    Attributes:
        name: of the app.
        action: what.
        differences: the settings that change, of an app that is there.
        wanted: as the file has it; None: it does not.
        problem: why it is refused; else empty.
    """

    name: str
    action: Action
    differences: Sequence[Difference] = ()
    wanted: Wanted | None = None
    problem: str = ""

    @property
    def text(self) -> str:
        """What will be done, in one line."""
        needing = ", ".join(difference.setting for difference in self.differences if difference.needs_start)
        doing = DOING[self.action] + (needing if self.action == "renew" else "")
        return f"{self.name}: {self.problem or doing}"


def plan(verb: Verb, file: str, wanted: Sequence[Wanted], present: Mapping[str, Present]) -> list[Step]:
    """Return the steps for the apps of a file, in its order.

    Args:
        verb: as in FileOrder.
        file: absolute path; empty: standard input.
        wanted: the apps that are asked for.
        present: what is known of apps, by name.
    """
    return [_step(verb, file, one, present.get(one.config.name)) for one in wanted]


def removals(file: str, kept: Sequence[str], present: Mapping[str, Present]) -> list[Step]:
    """Return a step for each app that the file had and has no more; `kept`: names that it has."""
    gone = [name for name, app in present.items() if name not in kept and app.source and app.source.file == file]
    return [Step(name, "remove") for name in gone] if file else []


def _step(verb: Verb, file: str, one: Wanted, there: Present | None) -> Step:
    name = one.config.name
    if there is None:
        return Step(name, "start" if one.app.autostart else "define", wanted=one)
    if problem := _of_another(file, one, there):
        return Step(name, "refuse", wanted=one, problem=problem)
    changes = differences(there.config, one.config) if there.config else []
    if not there.is_running:
        return Step(name, "start" if one.app.autostart else "define", changes, one)
    needing = [change.setting for change in changes if change.needs_start]
    if needing and verb == "reload":
        return Step(name, "refuse", wanted=one, problem=_takes_a_start(needing, one))
    return Step(name, "renew" if needing else _action(verb, changes), changes, one)


def _takes_a_start(needing: Sequence[str], one: Wanted) -> str:
    places = ", ".join(f"{name} ({one.origins.get(name, 'no more in the file')})" for name in needing)
    return f"no reload can change {places}: `fastlb restart FILE` stops the app and starts it"


def _action(verb: Verb, changes: Sequence[Difference]) -> Action:
    if verb != "start":
        return verb
    if not changes:
        return "leave"
    return "scale" if [change.setting for change in changes] == ["workers"] else "reload"


def _of_another(file: str, one: Wanted, there: Present) -> str:
    """Why an app that is there must not become that of the file; empty: it may."""
    config = there.config
    is_ours = bool(there.source and there.source.file == file)
    if is_ours or config is None or (config.cwd, config.target) == (one.config.cwd, one.config.target):
        return ""
    return (
        f"this is the name of another app, {config.target} in {config.cwd}: give this one another name, or forget the"
        f" other with `fastlb delete {config.name}`"
    )


def differences(before: AppConfig, after: AppConfig) -> list[Difference]:
    """Return what changes, in the order of the declaration."""
    needing = needing_start(before, after)
    changed = [setting for setting in declared_settings() if _value(before, setting) != _value(after, setting)]
    return [
        Difference(setting.name, _text(setting, before, after), setting.name in needing) for setting in changed
    ]


def _value(config: AppConfig, setting: DeclaredSetting) -> object:
    return getattr(config, setting.name)


def _text(setting: DeclaredSetting, before: AppConfig, after: AppConfig) -> str:
    old, new = _value(before, setting), _value(after, setting)
    if isinstance(old, dict) and isinstance(new, dict):
        return f"{setting.name}: {_changed_members(old, new)}"
    if setting.about.secret:
        return f"{setting.name}: another one"
    shown = [format_setting(setting, value) or "none" for value in (old, new)]
    return f"{setting.name}: {shown[0]} -> {shown[1]}"


def _changed_members(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    words = [f"{name} added" for name in new if name not in old]
    words += [f"{name} changed" for name in new if name in old and new[name] != old[name]]
    words += [f"{name} removed" for name in old if name not in new]
    return ", ".join(words)
