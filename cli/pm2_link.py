"""Owns being called as `pm2`: by a link of that name, commands, flags and numbers mean what they mean there.

Runs in the user's shell.
"""

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence

import click

from ..supervisor.errors import FastlbError
from ..supervisor.home.app_lock import is_running
from ..supervisor.settings.app_name import is_app_name
from ..supervisor.settings.cpus import usable_cpus
from .apps import paths_of
from .output import Output
from .pm2.translation import Surroundings, translate


def run_as_pm2(arguments: Sequence[str], group: click.Group) -> int:
    """Do what PM2's `arguments` mean; return the exit code, the highest of several.

    Raises:
        FastlbError: it means nothing here, or what it means has failed.
    """
    translation = translate(arguments, surroundings(group))
    for note in translation.notes:
        Output.for_errors().line(f"note: {note}")
    with _silence() if translation.is_silent else contextlib.nullcontext():
        return _run(translation.lines, group)


def _run(lines: Sequence[Sequence[str]], group: click.Group) -> int:
    """Run our commands, one after the other; what follows a setting that was refused is not done."""
    highest = 0
    for line in lines:
        code = group.main(list(line), prog_name="fastlb", standalone_mode=False)
        highest = max(highest, code if isinstance(code, int) else 0)
        if line[0] == "set" and highest:
            break
    return highest


def surroundings(group: click.Group) -> Surroundings:
    """Return what a translation must know of the commands in `group`, and of what runs."""
    context = click.Context(group, info_name="fastlb")

    def options_of(name: str) -> Collection[str]:
        command = group.get_command(context, name)
        parameters = command.params if command else []
        return {option for parameter in parameters for option in (*parameter.opts, *parameter.secondary_opts)}

    return Surroundings(group.list_commands(context), options_of, _runs, usable_cpus())


def _runs(name: str) -> bool:
    try:
        return is_app_name(name) and is_running(paths_of(name))
    except FastlbError:
        return False


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield

