"""`fastlb prettylist`: jlist for people. Runs in the user's shell."""

import click

from ..options import AppCommand
from ..output import Output
from ..process_objects import process_objects

EXAMPLES = ("fastlb prettylist",)


@click.command("prettylist", cls=AppCommand, examples=EXAMPLES, short_help="Print what jlist prints, indented.")
def command() -> None:
    """Print what `fastlb jlist` prints, indented."""
    Output.for_results().json(process_objects())
