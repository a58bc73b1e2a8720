"""`fastlb unstartup`: have no app come back after a boot. Runs in the user's shell."""

import os
from pathlib import Path

import click

from ...supervisor.errors import EXIT_FAILURE
from ..options import AppCommand
from ..output import Output
from ..startup.boot_app import find_owner
from ..startup.init_systems import ROOT, InitName, Place, find_init, take_away, what_root_types
from ..startup_options import place_options

EXAMPLES = ("fastlb unstartup", "fastlb unstartup --user")


@click.command("unstartup", cls=AppCommand, examples=EXAMPLES, short_help="Undo `fastlb startup`.")
@place_options
def command(init: InitName | None, of_user: bool, username: str, root: Path) -> int:
    """Remove what `fastlb startup` has written. What runs goes on; what was saved stays."""
    place = Place(init or find_init(), root, of_user)
    owner = find_owner(username)
    output = Output.for_results()
    if not of_user and os.geteuid() != 0 and root == ROOT:
        output.line(f"Only root may do that. Type:\n\n    {what_root_types(place, owner, 'unstartup')}\n")
        return EXIT_FAILURE
    removed = take_away(place, owner)
    for path in removed:
        output.line(f"removed {path}")
    if not removed:
        output.line("there was nothing of `fastlb startup`")
    return 0
