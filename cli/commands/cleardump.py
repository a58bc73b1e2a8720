"""`fastlb cleardump`: forget what was saved. Runs in the user's shell."""

import click
import msgspec

from ...supervisor.home.paths import default_home
from ...supervisor.home.saved_apps import forget_saved
from ..options import AppCommand, json_option
from ..output import Output

EXAMPLES = ("fastlb cleardump",)


class Forgotten(msgspec.Struct, frozen=True):
    """The result of `cleardump --json`: whether anything had been saved."""

    was_saved: bool


@click.command("cleardump", cls=AppCommand, examples=EXAMPLES, short_help="Forget what was saved.")
@json_option
def command(as_json: bool) -> None:
    """Remove what `fastlb save` has written, and what it had written before. Apps are left alone."""
    was_there = forget_saved(default_home())
    if as_json:
        Output.for_results().json(Forgotten(was_there))
        return
    Output.for_results().line("what was saved is forgotten" if was_there else "nothing was saved")
