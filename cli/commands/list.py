"""`fastlb list`: what runs. Runs in the user's shell."""

import click

from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ..app_table import app_table
from ..apps import read_states, resolve_names
from ..options import AppCommand, complete_names, json_option
from ..output import Output

EXAMPLES = ("fastlb list", "fastlb ls --json", "fastlb status shop blog")


@click.command("list", cls=AppCommand, examples=EXAMPLES, short_help="Show what runs (ls, ps, status).")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Show every app, running or stopped, with the sums of its workers."""
    states = read_states(resolve_names(names) if names else list_apps(default_home()))
    for state in states:
        if state.problem:
            Output.for_errors().warning(state.problem)
    entries = [state.entry for state in states]
    if as_json:
        Output.for_results().json(entries)
    elif entries:
        Output.for_results().table(app_table(entries))
    else:
        Output.for_errors().line("no apps yet: start one with `fastlb start MODULE:ATTRIBUTE`")
