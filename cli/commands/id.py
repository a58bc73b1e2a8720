"""`fastlb id`: the numbers of workers. Runs in the user's shell."""

import click

from ..instances import chosen_instances
from ..options import AppCommand, complete_names
from ..output import Output

EXAMPLES = ("fastlb id shop",)


@click.command("id", cls=AppCommand, examples=EXAMPLES, short_help="Print the numbers of an app's workers.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_names)
def command(names: tuple[str, ...]) -> None:
    """Print the numbers of an app's workers, running or not, as `pm2 id` does: [ 0, 1 ]."""
    numbers = ", ".join(str(instance.pm_id) for instance in chosen_instances(names))
    Output.for_results().line(f"[ {numbers} ]")
