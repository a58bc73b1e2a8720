"""`fastlb restore`: the apps of a backup take the place of what runs. Runs in the user's shell."""

import functools
from pathlib import Path

import click

from ...supervisor.home.app_lock import is_running
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home, prepare_home
from ..apps import paths_of
from ..backup import put_back
from ..operations import do_each_at_once, end
from ..options import AppCommand
from ..output import Output
from ..persistence import resurrect

EXAMPLES = ("fastlb restore /backup/shop-2026-01-31",)


@click.command("restore", cls=AppCommand, examples=EXAMPLES, short_help="Bring back the apps of a backup.")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, exists=True))
def command(directory: str) -> int:
    """Stop every app, put the files of a backup where they were, and start the apps that ran when it was made.

    A file that has changed since is kept beside it, as FILE.before-restore.
    """
    home = default_home()
    prepare_home(home)
    said = put_back(Path(directory).absolute(), home)
    running = [name for name in list_apps(home) if is_running(paths_of(name))]
    code = do_each_at_once(functools.partial(end, force=False), running, "stopping") if running else 0
    for line in said:
        Output.for_results().line(line)
    return max(code, resurrect(home))
