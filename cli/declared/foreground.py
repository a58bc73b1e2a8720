"""Owns running apps of a configuration file in the foreground. Runs in the user's shell, then in the place of one app.

They do not become apps that the file owns: they are gone when they have ended.
"""

import os

from msgspec.structs import replace

from ...supervisor.errors import EXIT_USAGE, FastlbError, UsageError
from ...supervisor.launch.messages import Foreground
from ..config_files.apps import read_apps
from ..launching import become_supervisor, say_in_foreground
from ..reload_options import ReloadOptions
from .order import FileOrder
from .report import show_printed, show_problems
from .requests import Wanted, judge


def run_apps(order: FileOrder, foreground: Foreground, reloading: ReloadOptions) -> int:
    """Run the apps that are asked for: become the supervisor of one, or the parent of several. Return the exit code.

    Raises:
        UsageError: the file has no app.
        FastlbError: there is an error in the file, or an app cannot be started here.
    """
    found = read_apps(order.file, environment=order.environment or "", only=order.only)
    if not found.apps:
        raise UsageError(f"{order.file} has no app to run")
    verdict = judge(found, order.given, os.environ)
    show_printed(found.printed)
    show_problems(verdict.problems)
    if verdict.errors:
        raise FastlbError(f"{order.file} has an error, and nothing was started", exit_code=EXIT_USAGE)
    wanted = [_as_it_is_run(one, foreground, reloading) for one in verdict.wanted]
    if len(wanted) > 1:
        from .together import run_together

        prefix = foreground.prefix if foreground.prefix is not None else not foreground.as_json
        return run_together(wanted, replace(foreground, prefix=prefix, has_company=True))
    become_supervisor(wanted[0].config, foreground, wanted[0].setting_origins)
    raise AssertionError("this process is another program now")


def _as_it_is_run(one: Wanted, foreground: Foreground, reloading: ReloadOptions) -> Wanted:
    """Return an app with what --reload and --json change of it."""
    config, why_one = reloading.settings(one.config)
    if why_one:
        say_in_foreground(why_one, foreground, config.name)
    return replace(one, config=replace(config, log_type="json") if foreground.as_json else config)
