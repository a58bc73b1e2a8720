"""`fastlb send`: a line for the standard input of programs. Runs in the user's shell."""

import click

from ...supervisor.control.client import NotRunning
from ...supervisor.control.protocol import SendParams
from ...supervisor.errors import FastlbError
from ..operations import do_each, operate
from ..options import AppCommand, complete_names, json_answers
from ..targets import resolve_name

EXAMPLES = ("fastlb send game 'say the server restarts in a minute'", "fastlb send game save-all --worker 0")


@click.command("send", cls=AppCommand, examples=EXAMPLES, short_help="Write a line to the standard input of a program.")
@click.argument("name", shell_complete=complete_names)
@click.argument("line")
@click.option("--worker", type=click.IntRange(min=0), metavar="N", help="The worker of this number alone.")
@json_answers
def command(name: str, line: str, worker: int | None) -> int:
    """Write LINE, and its end, to the standard input of each process of an app in fork mode.

    Python and Node workers in cluster mode have no standard input.
    """

    def send(name: str) -> str:
        try:
            return operate(name, "send", SendParams(line, worker))
        except NotRunning:
            raise FastlbError(f"{name} is stopped, so nobody reads: `fastlb start {name}`") from None

    return do_each(send, [resolve_name(name)])
