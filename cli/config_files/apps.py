"""Owns the apps of a configuration file: read, understood, chosen. Runs in the user's shell; starts nothing."""

import os
from collections.abc import Callable, Sequence

import msgspec

from ...supervisor.errors import UsageError
from ...supervisor.settings.targets import usable_name
from ...supervisor.suggestions import did_you_mean
from .blocks import AppBlock, AppBlocks, Words, app_blocks
from .file_app import FileApp
from .our_words import OurWords, unknown_environments
from .places import Place
from .pm2_words import Pm2Words
from .problems import Problem, error
from .reading import FileContent, read_config_file


class FileApps(msgspec.Struct, frozen=True):
    """What a configuration file asks for.

    Attributes:
        file: as the user named it.
        words: whose keys it has.
        apps: those that were asked for, in its order.
        problems: of the file as a whole; each app has its own.
        printed: what it has printed when it was evaluated.
        others: names of its apps that were not asked for.
    """

    file: str
    words: Words
    apps: list[FileApp]
    problems: list[Problem]
    printed: str = ""
    others: list[str] = []

    @property
    def all_problems(self) -> list[Problem]:
        """Everything that is to be said, in the order of the file."""
        problems = [*self.problems, *(problem for app in self.apps for problem in app.problems)]
        return list(dict.fromkeys(problems))

    @property
    def errors(self) -> list[Problem]:
        """What keeps the file from being started."""
        return [problem for problem in self.all_problems if problem.is_error]


def read_apps(path: str, *, environment: str = "", only: Sequence[str] = ()) -> FileApps:
    """Return the apps of the file at `path`, `-`: standard input.

    Args:
        path: as the user named it.
        environment: which `env_NAME` is put over `env`; empty: none.
        only: names of the apps that are wanted; empty: all.

    Raises:
        UsageError: it cannot be read, names no app, or none of a name in `only`.
        FastlbError: it is JavaScript, and there is no node.
    """
    return understood(read_config_file(path), lambda _: environment, only)


def understood(content: FileContent, environment_of: Callable[[str], str], only: Sequence[str] = ()) -> FileApps:
    """Return the apps of a file that was read; `environment_of` an app of this name, the rest as in `read_apps`.

    Raises:
        UsageError: as `read_apps`.
    """
    found = app_blocks(content)
    apps = [_app(content, found, block, environment_of) for block in found.blocks]
    problems = found.problems + _same_names(apps)
    chosen = _chosen(apps, only, content.file)
    problems += unknown_environments(chosen, Place(content.file))
    others = [app.name for app in apps if app not in chosen]
    return FileApps(content.file, found.words, chosen, problems, content.printed, others)


def _app(content: FileContent, found: AppBlocks, block: AppBlock, environment_of: Callable[[str], str]) -> FileApp:
    words = OurWords(content.places, found.defaults) if found.words == "ours" else Pm2Words(content.places)
    app = words.app(block, "")
    if environment := environment_of(app.name):
        app = words.app(block, environment)
    return _settled(app, content)


def _same_names(apps: list[FileApp]) -> list[Problem]:
    first: dict[str, FileApp] = {}
    problems = []
    for app in apps:
        if app.name and first.setdefault(app.name, app) is not app:
            where = first[app.name].place
            problems.append(error(app.place, f"{app.name} is the name of another app, at {where}: each needs its own"))
    return problems


def _settled(app: FileApp, content: FileContent) -> FileApp:
    """Relative paths mean the file's folder: where no `cwd` is said that is the working directory."""


    app.settings["cwd"] = os.path.normpath(os.path.join(content.directory, _expanded(app.settings.get("cwd", ""))))
    return app


def _expanded(path: str) -> str:


    return os.path.expanduser(path) if path.startswith("~") else path


def _chosen(apps: list[FileApp], only: Sequence[str], file: str) -> list[FileApp]:
    if not only:
        return apps
    names = [app.name for app in apps]
    for name in only:
        if usable_name(name) not in names:
            there = f": it has {', '.join(name for name in names if name)}"
            raise UsageError(f"{file} has no app {name!r}{did_you_mean(name, names) or there}")
    wanted = [usable_name(name) for name in only]
    return [app for app in apps if app.name in wanted]
