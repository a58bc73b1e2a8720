"""`fastlb top`: what apps do now, one screen of plain text. Runs in the user's shell."""

import shutil
import time

import click

from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ..list_watch import ListWatch
from ..metrics.reading import read_metrics
from ..monit.cells import app_rows, worker_rows
from ..monit.history import Histories
from ..options import AppCommand, complete_names
from ..output import Output, Table
from ..targets import resolve_names

EXAMPLES = ("fastlb top", "fastlb top shop", "fastlb top --once | awk '$1 == \"shop\" { print $4 }'")
FIRST_SECONDS = 1.0  # between the two looks that the first figures need


@click.command("top", cls=AppCommand, examples=EXAMPLES, short_help="Show what apps do a second, in plain text.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@click.option("--once", is_flag=True, help="Print it once, and end.  [default: into a pipe or file]")
def command(names: tuple[str, ...], once: bool) -> None:
    """Show what every app, or some, does now: requests and errors a second, latencies of that time, connections, CPU,
    memory; below it the workers of the app that has most to do, or of each that is named.

    On a terminal it is shown anew every two seconds, and when something happens, until ^C. It takes a second to begin.
    """
    output, watch, histories = Output.for_results(), ListWatch(), Histories()
    _look(histories, names)
    time.sleep(FIRST_SECONDS)
    is_renewed = output.is_terminal and not once
    while True:
        _look(histories, names)
        if is_renewed:
            output.clear()
        _show(output, histories, has_names=bool(names))
        output.flush()
        if not is_renewed:
            return
        watch.wait([name for name, app in histories.apps.items() if app.entry.pid is not None])


def _look(histories: Histories, names: tuple[str, ...]) -> None:
    histories.note(read_metrics(resolve_names(names) if names else list_apps(default_home())), time.monotonic())


def _show(output: Output, histories: Histories, *, has_names: bool) -> None:
    apps = [*histories.apps.values()]
    if not apps:
        Output.for_errors().line("no apps yet: start one with `fastlb start MODULE:ATTRIBUTE`")
        return
    for app in apps:
        if app.problem:
            Output.for_errors().warning(app.problem)
    output.table(app_rows(apps))
    running = [app for app in apps if app.entry.pid is not None]
    busiest = max(running, key=lambda app: app.rates.app.cpu_percent if app.rates else 0.0, default=None)
    lines_left = shutil.get_terminal_size().lines - len(apps) - 4
    for app in running if has_names else [one for one in (busiest,) if one]:
        output.heading(app.entry.name)
        rows = worker_rows(app)
        kept = rows.rows[: max(lines_left, 1)] if output.is_terminal and not has_names else rows.rows
        output.table(Table(rows.columns, kept))
