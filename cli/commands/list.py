"""`fastlb list`: what runs. Runs in the user's shell."""

from collections.abc import Sequence

import click

from ...supervisor.control.protocol import AppEntry
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.version import VERSION
from ..app_table import app_table, instance_table
from ..apps import AppState, read_states
from ..instances import instances_of, number_workers
from ..options import AppCommand, complete_names, json_option
from ..output import Output
from ..targets import resolve_names

EXAMPLES = (
    "fastlb list",
    "fastlb ls --json",
    "fastlb status shop blog",
    "fastlb list --watch",
    "fastlb list | awk '$5 == \"errored\"'",
)


@click.command("list", cls=AppCommand, examples=EXAMPLES, short_help="Show what runs (ls, l, ps, status).")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@json_option
@click.option("--instances/--apps", default=None, help="One row a worker, or an app.  [default: --apps on a terminal]")
@click.option("--watch", is_flag=True, help="Go on until ^C, and show what changes.")
def command(names: tuple[str, ...], as_json: bool, instances: bool | None, watch: bool) -> None:
    """Show every app, running or stopped, with the sums of its workers; into a pipe or file one row for each worker.

    The numbers in front name the workers, in every command, as long as they have their place.

    With --watch a terminal shows it anew when something happens, and figures every two seconds. Into a pipe or file it
    is printed again, below an empty line, when workers or what is done to apps are others than before; with --json as
    one line each time.
    """
    output = Output.for_results()
    per_worker = not output.is_terminal if instances is None else instances
    if watch:
        _watch(names, as_json=as_json, per_worker=per_worker, output=output)
    _show(_states(names), as_json=as_json, per_worker=per_worker, output=output)


def _watch(names: tuple[str, ...], *, as_json: bool, per_worker: bool, output: Output) -> None:
    """Show the list again and again, until ^C."""
    from ..list_watch import ListWatch, gist_of

    watch = ListWatch()
    seen: object = None
    while True:
        states = _states(names)
        entries = [state.entry for state in states]
        shown: object = entries if output.is_terminal else gist_of(entries)
        if shown != seen and as_json:
            number_workers(entries)
            output.json_line(entries)
        elif shown != seen:
            _begin_anew(output, is_first=seen is None)
            _show(states, as_json=False, per_worker=per_worker, output=output)
        seen = shown
        output.flush()
        watch.wait([entry.name for entry in entries if entry.pid is not None])


def _begin_anew(output: Output, *, is_first: bool) -> None:
    if output.is_terminal:
        output.clear()
    elif not is_first:
        output.line()


def _states(names: tuple[str, ...]) -> list[AppState]:
    return read_states(resolve_names(names) if names else list_apps(default_home()))


def _show(states: Sequence[AppState], *, as_json: bool, per_worker: bool, output: Output) -> None:
    for state in states:
        if state.problem:
            Output.for_errors().warning(state.problem)
    entries: list[AppEntry] = [state.entry for state in states]
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
            _print_remarks(entry, output)


def _print_remarks(entry: AppEntry, output: Output) -> None:
    """Print what is to be known of an app and stands in no column."""
    if entry.version not in ("", VERSION):
        advice = f"`fastlb update {entry.name}` has it run by {VERSION}"
        output.line(f"{entry.name} is run by fastlb {entry.version}: {advice}")
    for operation in entry.operations:
        output.line(f"{entry.name}: {operation.operation} {operation.state}, asked for by {operation.by}")
    for alert in entry.alerts:
        output.line(f"{entry.name}: alert {alert.name} since {alert.began_at}: {alert.text}")
