"""`fastlb save`: write down what runs. Runs in the user's shell."""

import click

from ...supervisor.errors import FastlbError
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.home.saved_apps import FILE_NAME, save_apps
from ..options import AppCommand
from ..output import Output

EXAMPLES = ("fastlb save", "fastlb save --force")


@click.command("save", cls=AppCommand, examples=EXAMPLES, short_help="Write down what runs, for resurrect (dump).")
@click.option("--force", "-f", is_flag=True, help="Also when there is no app.")
def command(force: bool) -> None:
    """Write down all apps, how each was started, and which of them run. `fastlb resurrect` brings them back.

    The file is yours alone to read; it has declared variables, never those of your shell. What it had before is kept
    beside it.
    """
    home = default_home()
    names = list_apps(home)
    if not names and not force:
        raise FastlbError("there are no apps: nothing was saved, and --force saves that there are none")
    apps = save_apps(home, names)
    running = sum(app.is_running for app in apps)
    Output.for_results().line(f"saved {len(apps)} apps, {running} of them running, in {home / FILE_NAME}")
