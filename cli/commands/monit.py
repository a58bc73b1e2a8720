"""`fastlb monit`: a console on the terminal. Runs in the user's shell."""

import os
import sys

import click

from ...supervisor.errors import UsageError
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ..options import AppCommand, complete_names
from ..targets import resolve_names

EXAMPLES = ("fastlb monit", "fastlb monit shop")


@click.command("monit", cls=AppCommand, examples=EXAMPLES, short_help="Watch apps, and steer them by keys.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
def command(names: tuple[str, ...]) -> int:
    """Show apps, their workers, graphs and output, until q is typed; keys reload, restart, scale and stop an app, after
    a second one.

    For a terminal of 80 x 24 and more; colours unless NO_COLOR is set. Without one: `fastlb top`.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("monit needs a terminal: `fastlb top` prints the same figures")
    if os.environ.get("TERM") == "dumb":
        raise UsageError("monit cannot draw here, as TERM is dumb: `fastlb top` prints the same figures")
    from ..metrics.reading import read_metrics
    from ..monit.console import MonitApp

    if names:
        resolve_names(names)  # a word that means nobody is told before the terminal is taken
    monit = MonitApp(lambda: read_metrics(resolve_names(names) if names else list_apps(default_home())))
    monit.run()
    return monit.return_code or 0
