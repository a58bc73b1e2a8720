"""`fastlb backup`: all that is needed to bring the apps back. Runs in the user's shell."""

from pathlib import Path

import click

from ...supervisor.home.paths import default_home, prepare_home
from ..backup import write_backup
from ..options import AppCommand, json_option
from ..output import Output

EXAMPLES = ("fastlb backup /backup/shop-2026-01-31", "fastlb backup --logs /backup/today")


@click.command("backup", cls=AppCommand, examples=EXAMPLES, short_help="Copy settings and files of all apps.")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False))
@click.option("--logs", is_flag=True, help="The log files, too.")
@json_option
def command(directory: str, logs: bool, as_json: bool) -> None:
    """Save the apps, and copy into DIR what was saved, their configuration files and files of variables.

    DIR must be new or empty. It holds what the apps are told, secrets too, and is yours alone to read.
    """
    home = default_home()
    prepare_home(home)
    written = write_backup(home, Path(directory).absolute(), with_logs=logs)
    if as_json:
        Output.for_results().json(written)
        return
    parts = [f"{len(written.apps)} apps", *written.files, *([written.logs] if written.logs else [])]
    Output.for_results().line(f"{directory}: " + ", ".join(parts))
