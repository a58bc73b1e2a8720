"""`fastlb version`: which fastlb this is. Runs in the user's shell."""

import click
import msgspec

from ...supervisor.version import VERSION
from ..options import AppCommand, json_option
from ..output import Output

EXAMPLES = ("fastlb version", "fastlb version --number")


class Version(msgspec.Struct, frozen=True):
    """The result of `version --json`."""

    version: str


def version_text() -> str:
    """Return `fastlb 1.2.3`."""
    return f"fastlb {VERSION}"


@click.command("version", cls=AppCommand, examples=EXAMPLES, short_help="Say which fastlb this is.")
@click.option("--number", is_flag=True, help="The number alone, for scripts.")
@json_option
def command(number: bool, as_json: bool) -> None:
    """Say which fastlb this is."""
    if as_json:
        Output.for_results().json(Version(VERSION))
        return
    Output.for_results().line(VERSION if number else version_text())
