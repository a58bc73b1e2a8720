"""`fastlb cleardump`: forget what was saved. Runs in the user's shell."""

import click

from ...supervisor.home.paths import default_home
from ...supervisor.home.saved_apps import forget_saved
from ..options import AppCommand
from ..output import Output

EXAMPLES = ("fastlb cleardump",)


@click.command("cleardump", cls=AppCommand, examples=EXAMPLES, short_help="Forget what was saved.")
def command() -> None:
    """Remove what `fastlb save` has written, and what it had written before. Apps are left alone."""
    was_there = forget_saved(default_home())
    Output.for_results().line("what was saved is forgotten" if was_there else "nothing was saved")
