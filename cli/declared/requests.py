"""Owns which settings an app of a configuration file has, and whether it could be started: the verdict of `check`.

Runs in the user's shell. What counts, from the weakest: defaults, variables of platforms, the file, FASTLB_<OPTION>,
options. Nothing is changed and nothing is started.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ...supervisor.errors import FastlbError
from ...supervisor.settings.app_config import AppConfig
from ..config_files.apps import FileApps
from ..config_files.file_app import FileApp
from ..config_files.places import Place
from ..config_files.problems import Problem, error, note
from ..launching import prepare_to_run
from ..start_request import request_of_file
from .elsewhere import back_again


class Wanted(msgspec.Struct, frozen=True):
    """An app that a file asks for, with everything that counts.

    Attributes:
        app: as the file has it.
        config: its settings.
        origins: of the settings and variables that were said: where; of a variable by `variable_key`.
    """

    app: FileApp
    config: AppConfig
    origins: dict[str, str]

    @property
    def setting_origins(self) -> dict[str, str]:
        """The same of settings alone."""
        return {name: origin for name, origin in self.origins.items() if "." not in name}


def variable_key(name: str) -> str:
    """Return by what the origin of an environment variable is kept: `env.PORT`."""
    return f"env.{name}"


class Verdict(msgspec.Struct, frozen=True):
    """What can be started of a file, and everything that is to be said of it."""

    wanted: list[Wanted]
    problems: list[Problem]

    @property
    def errors(self) -> list[Problem]:
        """Why the file, or part of it, cannot be started."""
        return [problem for problem in self.problems if problem.is_error]


def judge(found: FileApps, given: Mapping[str, Any], environ: Mapping[str, str]) -> Verdict:
    """Return the verdict on a file that has been read.

    Args:
        found: what it asks for.
        given: options of the command line, by setting.
        environ: of the command.
    """
    wanted: list[Wanted] = []
    problems = found.all_problems
    for app in found.apps:
        if app.is_bad:
            continue
        try:
            one, remarks = _wanted(app, found, given, environ)
            with back_again():
                prepare_to_run(one.config)
        except FastlbError as problem:
            problems.append(_placed(problem.message, app, error))
        else:
            wanted.append(one)
            problems += remarks
    problems += _same_places(wanted)
    return Verdict(wanted, problems)


def _wanted(
    app: FileApp, found: FileApps, given: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[Wanted, list[Problem]]:
    request = request_of_file(app, given, environ, drops_what_does_not_fit=found.words == "pm2")
    origins = {name: str(origin) for name, origin in app.origins.items()} | request.origins
    origins |= {variable_key(name): str(origin) for name, origin in app.variables.items()}
    origins |= dict.fromkeys([*given, *map(variable_key, given.get("env", ()))], "command line")
    remarks = [_placed(remark, app, note) for remark in request.remarks]
    return Wanted(app, request.config, origins), remarks


def _placed(message: str, app: FileApp, make: Callable[[Place, str], Problem]) -> Problem:
    """Return the problem of a message that may begin with the place of a setting, and with its option."""
    for name, origin in app.origins.items():
        text = message.removeprefix(f"{origin.place}: ")
        option = f"--{name.replace('_', '-')}"
        if (text != message and origin.place != app.place) or text.startswith((f"{option} ", f"{option}:")):
            return make(origin.place, text.replace(option, name, 1))
    text = message.removeprefix(f"{app.place}: ")
    return make(app.place, text if app.place.line or app.name in text else f"{app.name}: {text}")


def _same_places(wanted: list[Wanted]) -> list[Problem]:
    """An error for each app that wants to listen where another one of the file does."""
    problems = []
    first: dict[str, Wanted] = {}
    for one in wanted:
        for address in one.config.bind:
            other = first.setdefault(address, one)
            if other is not one and not address.endswith(":0"):
                text = f"{one.config.name} is to listen on {address}, and so is {other.config.name}"
                problems.append(error(one.app.place, f"{text}: give each its own `bind`"))
    return problems
