"""`fastlb pid`: the pids of workers. Runs in the user's shell."""

import click

from ..instances import chosen_instances
from ..options import AppCommand, complete_names
from ..output import Output

EXAMPLES = ("fastlb pid", "fastlb pid shop", "fastlb pid 3")


@click.command("pid", cls=AppCommand, examples=EXAMPLES, short_help="Print the pids of workers.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
def command(names: tuple[str, ...]) -> None:
    """Print the pid of each worker that runs, one a line. Without NAME: of all apps."""
    for instance in chosen_instances(names):
        if instance.worker and instance.worker.pid:
            Output.for_results().line(str(instance.worker.pid))
