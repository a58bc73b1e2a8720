"""Owns the options by which `startup` and `unstartup` say which init system is meant. Runs in the user's shell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add INIT, `--user`, `--username` and `--root`."""
    options = (
        click.argument("init", metavar="[systemd|openrc]", required=False, type=click.Choice(["systemd", "openrc"])),
        click.option("--user", "of_user", is_flag=True, help="Under the systemd of this user, without root."),
        click.option("--username", "-u", default="", metavar="USER", help="As root: whose apps; default root's."),
        click.option(
            "--root",
            type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
            default="/",
            metavar="DIR",
            help="Root of the file system that is written to, such as that of an image.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function
