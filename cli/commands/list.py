"""`fastlb list`: what runs. Runs in the user's shell."""

import time

import click

from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.version import VERSION
from ..app_table import app_table, instance_table
from ..apps import read_states
from ..instances import instances_of, number_workers
from ..options import AppCommand, complete_names, json_option
from ..output import Output
from ..targets import resolve_names

EXAMPLES = ("fastlb list", "fastlb ls --json", "fastlb status shop blog", "fastlb list | awk '$5 == \"errored\"'")
WATCH_SECONDS = 2.0


@click.command("list", cls=AppCommand, examples=EXAMPLES, short_help="Show what runs (ls, l, ps, status).")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@json_option
@click.option("--instances/--apps", default=None, help="One row a worker, or an app.  [default: --apps on a terminal]")
@click.option("--watch", is_flag=True, help="Go on, every two seconds, until ^C.")
def command(names: tuple[str, ...], as_json: bool, instances: bool | None, watch: bool) -> None:
    """Show every app, running or stopped, with the sums of its workers; into a pipe or file one row for each worker.

    The numbers in front name the workers, in every command, as long as they have their place.
    """
    output = Output.for_results()
    per_worker = not output.is_terminal if instances is None else instances
    while True:
        if watch and output.is_terminal:
            output.clear()
        _show(names, as_json=as_json, per_worker=per_worker, output=output)
        if not watch:
            return
        output.flush()
        time.sleep(WATCH_SECONDS)


def _show(names: tuple[str, ...], *, as_json: bool, per_worker: bool, output: Output) -> None:
    states = read_states(resolve_names(names) if names else list_apps(default_home()))
    for state in states:
        if state.problem:
            Output.for_errors().warning(state.problem)
    entries = [state.entry for state in states]
    number_workers(entries)
    if as_json:
        output.json(entries)
    elif not entries:
        Output.for_errors().line("no apps yet: start one with `fastlb start MODULE:ATTRIBUTE`")
    elif per_worker:
        output.table(instance_table(instances_of(entries)))
    else:
        output.table(app_table(entries))
    if not as_json:
        for entry in entries:
            if entry.version not in ("", VERSION):
                advice = f"`fastlb update {entry.name}` has it run by {VERSION}"
                output.line(f"{entry.name} is run by fastlb {entry.version}: {advice}")
            for operation in entry.operations:
                output.line(f"{entry.name}: {operation.operation} {operation.state}, asked for by {operation.by}")
