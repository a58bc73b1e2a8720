"""Owns running one app of a configuration file in the foreground. Runs in the user's shell, then in its place.

The app does not become one of those that the file owns: it is gone when it has ended.
"""

import os

from ...supervisor.errors import EXIT_USAGE, FastlbError, UsageError
from ...supervisor.launch.messages import Foreground
from ..config_files.apps import read_apps
from ..launching import become_supervisor
from ..output import Output
from ..reload_options import ReloadOptions
from .order import FileOrder
from .report import show_printed, show_problems
from .requests import judge


def run_only_app(order: FileOrder, foreground: Foreground, reloading: ReloadOptions) -> None:
    """Become the supervisor of the app that is asked for. Returns only by raising.

    Raises:
        UsageError: it is not one app.
        FastlbError: there is an error in the file, or the app cannot be started here.
    """
    found = read_apps(order.file, environment=order.environment or "", only=order.only)
    if len(found.apps) != 1:
        names = ", ".join(app.name for app in found.apps)
        raise UsageError(f"{order.file} has {len(found.apps)} apps, and `run` is for one: --only NAME of {names}")
    verdict = judge(found, order.given, os.environ)
    show_printed(found.printed)
    show_problems(verdict.problems)
    if verdict.errors:
        raise FastlbError(f"{order.file} has an error, and nothing was started", exit_code=EXIT_USAGE)
    (wanted,) = verdict.wanted
    config, why_one = reloading.settings(wanted.config)
    if why_one:
        Output.for_errors().line(f"fastlb | {why_one}")
    become_supervisor(config, foreground, wanted.setting_origins)
