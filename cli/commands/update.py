"""`fastlb update`: have the fastlb that is installed run apps that another one runs. Runs in the user's shell."""

import sys

import click

from ...supervisor.control.protocol import UpdateParams
from ...supervisor.errors import FastlbError
from ..operations import do_each, operate
from ..options import AppCommand, json_answers, names_argument
from ..targets import resolve_whole_apps

EXAMPLES = ("fastlb update shop      # after pip install --upgrade fastlb", "fastlb update all")


@click.command("update", cls=AppCommand, examples=EXAMPLES, short_help="Replace the supervisors of running apps.")
@names_argument
@json_answers
def command(names: tuple[str, ...]) -> int:
    """Have the fastlb that is installed now run apps that were started by another version. NAME may be `all`.

    A new supervisor with new workers serves on the same sockets beside the old ones; when it does, the old ones finish
    what they have, and end. Nobody is refused. When it does not start, nothing has changed.
    """
    return do_each(_update, resolve_whole_apps(names))


def _update(name: str) -> str:
    try:
        return operate(name, "update", UpdateParams(python=sys.executable))
    except FastlbError as error:
        if "unknown method" in error.message:
            anew = f"`fastlb stop {name}`, then `fastlb start {name}`"
            raise FastlbError(f"the fastlb that runs it cannot be replaced while it does: {anew}") from error
        raise
