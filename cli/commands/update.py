"""`fastlb update`: have the fastlb that is installed run apps that another one runs. Runs in the user's shell."""

import sys

import click

from ...supervisor.control.protocol import UpdateParams
from ...supervisor.errors import FastlbError
from ...supervisor.home.app_lock import is_running
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ..apps import paths_of
from ..operations import do_each, operate, say_nothing_to_do
from ..options import AppCommand, complete_names, json_answers
from ..targets import resolve_whole_apps

EXAMPLES = ("fastlb update shop      # after pip install --upgrade fastlb", "fastlb update")


@click.command("update", cls=AppCommand, examples=EXAMPLES, short_help="Replace the supervisors of running apps.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@json_answers
def command(names: tuple[str, ...]) -> int:
    """Have the fastlb that is installed now run apps that were started by another version. Without NAME: all that run.

    A new supervisor with new workers serves on the same sockets beside the old ones; when it does, the old ones finish
    what they have, and end. Nobody is refused. When it does not start, nothing has changed.
    """
    chosen = resolve_whole_apps(names) if names else [n for n in list_apps(default_home()) if is_running(paths_of(n))]
    if not chosen:
        say_nothing_to_do("nothing is running")
        return 0
    return do_each(_update, chosen)


def _update(name: str) -> str:
    try:
        return operate(name, "update", UpdateParams(python=sys.executable))
    except FastlbError as error:
        if "unknown method" in error.message:
            anew = f"`fastlb stop {name}`, then `fastlb start {name}`"
            raise FastlbError(f"the fastlb that runs it cannot be replaced while it does: {anew}") from error
        raise
