"""`fastlb startup`: have apps come back after a boot. Runs in the user's shell."""

import os
from pathlib import Path

import click

from ...supervisor.errors import EXIT_FAILURE, UsageError
from ..options import AppCommand
from ..output import Output
from ..startup.boot_app import boot_apps, find_owner
from ..startup.init_systems import (
    ROOT,
    InitName,
    Place,
    find_init,
    how_to_start,
    installation,
    put_in_place,
    what_root_types,
)
from ..startup_options import place_options

EXAMPLES = (
    "fastlb startup              # after `fastlb save`",
    "fastlb startup --user       # without root, under the systemd of this user",
    "fastlb startup systemd --print",
)


@click.command("startup", cls=AppCommand, examples=EXAMPLES, short_help="Have apps come back after a boot.")
@place_options
@click.option("--print", "is_shown", is_flag=True, help="Show the files and do nothing.")
def command(init: InitName | None, of_user: bool, username: str, root: Path, is_shown: bool) -> int:
    """Have a boot start the apps that ran when `fastlb save` was given, each by a unit of systemd or a script of
    OpenRC. After another `save` give it again: it makes the files match what was saved.

    Who is not root is shown what root must type; nothing is done then.
    """
    place = Place(init or find_init(), root, of_user)
    owner = find_owner(username)
    if of_user and (username or root != ROOT or place.init != "systemd"):
        raise UsageError("--user is for the systemd of whoever types it: leave out --username, --root and openrc")
    apps = boot_apps(owner)
    output = Output.for_results()
    if is_shown:
        for path, text in installation(place, owner, apps).files.items():
            output.line(f"# {path}\n{text}")
        return 0
    if not of_user and os.geteuid() != 0 and root == ROOT:
        output.line(f"Only root may do that. Type:\n\n    {what_root_types(place, owner, 'startup')}\n")
        output.line("or `fastlb startup --user`, for the systemd of this user.")
        return EXIT_FAILURE
    for path in put_in_place(place, owner, apps):
        output.line(f"removed {path}")
    for path in installation(place, owner, apps).files:
        output.line(f"wrote {path}")
    output.line("They start with the machine, and are not touched now.")
    if root == ROOT:
        output.line(f"To have it run them without a boot: `fastlb stop all`, then `{how_to_start(place, owner)}`.")
    return 0
