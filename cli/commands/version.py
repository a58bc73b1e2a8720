"""`fastlb version`: which fastlb this is. Runs in the user's shell."""

import click

from ...supervisor.version import VERSION
from ..options import AppCommand
from ..output import Output

EXAMPLES = ("fastlb version",)


def version_text() -> str:
    """Return `fastlb 1.2.3`."""
    return f"fastlb {VERSION}"


@click.command("version", cls=AppCommand, examples=EXAMPLES, short_help="Say which fastlb this is.")
def command() -> None:
    """Say which fastlb this is."""
    Output.for_results().line(version_text())
