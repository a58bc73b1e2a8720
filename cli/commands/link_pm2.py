"""`fastlb link-pm2`: fingers that know PM2 reach us. Runs in the user's shell."""

import os
import shutil
import sys
from pathlib import Path

import click

from ...supervisor.errors import FastlbError
from ..options import AppCommand
from ..output import Output

EXAMPLES = ("fastlb link-pm2 ~/bin", "fastlb link-pm2 /usr/local/bin")


@click.command("link-pm2", cls=AppCommand, examples=EXAMPLES, short_help="Be called as pm2, with its flags.")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False))
def command(directory: str) -> None:
    """Make DIR/pm2, a link to this program. Called so, commands, flags and numbers mean what they mean in PM2.

    Another pm2 that is there stays.
    """
    link = Path(directory).expanduser() / "pm2"
    program = shutil.which(sys.argv[0]) or os.path.abspath(sys.argv[0])
    target = os.path.realpath(program)
    if link.is_symlink() and os.path.realpath(link) == target:
        Output.for_results().line(f"{link} leads here already")
        return
    if os.path.lexists(link):
        raise FastlbError(f"{link} exists, and is another program: remove it first, or give another directory")
    try:
        link.symlink_to(target)
    except OSError as error:
        raise FastlbError(f"cannot make {link}: {error.strerror}") from error
    Output.for_results().line(f"{link} leads here: `pm2 list`")
    if shutil.which("pm2") != str(link):
        Output.for_errors().line(f"note: {link.parent} is not the first on PATH that has a pm2")
