"""`fastlb delete`: stop and forget. Runs in the user's shell."""

import click

from ..operations import delete, do_each_at_once
from ..options import AppCommand, names_argument
from ..targets import resolve_whole_apps

EXAMPLES = ("fastlb delete shop", "fastlb delete all")


@click.command("delete", cls=AppCommand, examples=EXAMPLES, short_help="Stop apps and forget them (del, rm).")
@names_argument
def command(names: tuple[str, ...]) -> int:
    """Stop apps and remove them from the list. NAME may be `all`. Their logs stay."""
    return do_each_at_once(delete, resolve_whole_apps(names), "stopping")
