"""`fastlb reload-logs`: open log files anew. Runs in the user's shell."""

import click

from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ..log_upkeep import reopen
from ..operations import do_each, say_nothing_to_do
from ..options import AppCommand, complete_names, json_answers
from ..targets import resolve_names

EXAMPLES = ("fastlb reload-logs", "fastlb reload-logs shop")


@click.command("reload-logs", cls=AppCommand, examples=EXAMPLES, short_help="Open log files anew (reloadLogs).")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@json_answers
def command(names: tuple[str, ...]) -> int:
    """Have apps open log files anew that were moved or removed, the supervisor's own as well. Without NAME: all apps.

    They do so by themselves with a line that comes a second later; this is for what goes on with the moved files at
    once, such as logrotate's postrotate.
    """
    chosen = resolve_names(names) if names else list_apps(default_home())
    if not chosen:
        say_nothing_to_do("there are no apps yet, so there are no log files")
        return 0
    return do_each(reopen, chosen)
