"""`fastlb attach`: a terminal for programs in fork mode. Runs in the user's shell."""

import click

from ..attaching import attach
from ..options import AppCommand, complete_names
from ..output import Output
from ..targets import resolve_target

EXAMPLES = ("fastlb attach game", "fastlb attach game --worker 1")


@click.command("attach", cls=AppCommand, examples=EXAMPLES, short_help="Speak to a program on your terminal.")
@click.argument("name", shell_complete=complete_names)
@click.option("--worker", type=click.IntRange(min=0), metavar="N", help="The worker of this number alone.")
def command(name: str, worker: int | None) -> int:
    """Send the lines that are typed to the standard input of an app in fork mode, and show what it writes.

    ^], ^C and ^D leave; the app goes on. A process that is started anew meanwhile gets the next lines.
    """
    target = resolve_target(name)
    if worker is None and len(target.workers) == 1:
        (worker,) = target.workers
    ended = attach(target.name, worker)
    Output.for_errors().line(f"{target.name}: {ended}")
    return 0
