"""`fastlb pid`: the pids of workers. Runs in the user's shell."""

import click

from ..instances import chosen_instances, worker_numbers
from ..options import AppCommand, complete_names, json_option
from ..output import Output

EXAMPLES = ("fastlb pid", "fastlb pid shop", "fastlb pid 3")


@click.command("pid", cls=AppCommand, examples=EXAMPLES, short_help="Print the pids of workers.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Print the pid of each worker that runs, one a line. Without NAME: of all apps."""
    running = [found for found in worker_numbers(chosen_instances(names)) if found.pid]
    if as_json:
        Output.for_results().json(running)
        return
    for found in running:
        Output.for_results().line(str(found.pid))
