"""`fastlb flush`: empty log files. Runs in the user's shell."""

from functools import partial

import click

from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ..log_upkeep import flush
from ..operations import do_each, say_nothing_to_do
from ..options import AppCommand, complete_names, json_answers
from ..targets import resolve_names

EXAMPLES = ("fastlb flush shop", "fastlb flush", "fastlb flush all --rotated")


@click.command("flush", cls=AppCommand, examples=EXAMPLES, short_help="Empty log files.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@click.option("--rotated", is_flag=True, help="Remove what was rotated away as well.")
@json_answers
def command(names: tuple[str, ...], rotated: bool) -> int:
    """Empty the log files of apps, the supervisor's own as well, whether or not they run. Without NAME: of all apps.

    Events stay: `fastlb events` shows them.
    """
    chosen = resolve_names(names) if names else list_apps(default_home())
    if not chosen:
        say_nothing_to_do("there are no apps yet, so there are no log files")
        return 0
    return do_each(partial(flush, rotated=rotated), chosen)
