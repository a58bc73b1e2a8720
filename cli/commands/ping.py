"""`fastlb ping`: who answers. Runs in the user's shell."""

import click

from ...supervisor.home.app_lock import is_running
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ..apps import ANSWER_SECONDS, connected, paths_of
from ..operations import do_each, say_nothing_to_do
from ..options import AppCommand, complete_names, json_answers
from ..targets import resolve_names

EXAMPLES = ("fastlb ping", "fastlb ping shop")


@click.command("ping", cls=AppCommand, examples=EXAMPLES, short_help="Ask supervisors whether they answer.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@json_answers
def command(names: tuple[str, ...]) -> int:
    """Ask the supervisor of each app that runs whether it answers. Exit code 1: one does not.

    There is no daemon for all apps: without any that runs there is nobody to answer, and nothing is wrong.
    """
    running = resolve_names(names) if names else [name for name in list_apps(default_home()) if _runs(name)]
    if not running:
        say_nothing_to_do("pong: no app runs")
        return 0
    return do_each(_ping, running)


def _runs(name: str) -> bool:
    return is_running(paths_of(name))


def _ping(name: str) -> str:
    with connected(name, ANSWER_SECONDS) as client:
        client.call("ping")
    return "pong"
