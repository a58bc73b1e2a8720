"""`fastlb resurrect`: bring back what was saved. Runs in the user's shell."""

import click

from ..options import AppCommand, json_answers
from ..persistence import resurrect

EXAMPLES = ("fastlb resurrect",)


@click.command("resurrect", cls=AppCommand, examples=EXAMPLES, short_help="Bring back what was saved.")
@json_answers
def command() -> int:
    """Start the apps that ran when `fastlb save` was given; list those that were stopped. What runs is left alone.

    If the file is damaged, what was saved before is taken, which is said.
    """
    return resurrect()
