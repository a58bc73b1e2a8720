"""`fastlb id`: the numbers of workers. Runs in the user's shell."""

import click

from ..instances import chosen_instances, worker_numbers
from ..options import AppCommand, complete_names, json_option
from ..output import Output

EXAMPLES = ("fastlb id shop",)


@click.command("id", cls=AppCommand, examples=EXAMPLES, short_help="Print the numbers of an app's workers.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_names)
@json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Print the numbers of an app's workers, running or not, as `pm2 id` does: [ 0, 1 ]."""
    found = worker_numbers(chosen_instances(names))
    if as_json:
        Output.for_results().json(found)
        return
    numbers = ", ".join(str(one.pm_id) for one in found)
    Output.for_results().line(f"[ {numbers} ]")
