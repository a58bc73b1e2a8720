"""`fastlb jlist`: what runs, as PM2's programs expect it. Runs in the user's shell."""

import click

from ..options import AppCommand
from ..output import Output
from ..process_objects import process_objects

EXAMPLES = ("fastlb jlist", "fastlb jlist | jq '.[].pm2_env.status'")


@click.command("jlist", cls=AppCommand, examples=EXAMPLES, short_help="Print what runs in PM2's JSON, for programs.")
def command() -> None:
    """Print a JSON array with one object for each worker, in the shape of `pm2 jlist`.

    Values of environment variables are hidden. `fastlb list --json` says more, one object for each app.
    """
    Output.for_results().json_line(process_objects())
