"""`fastlb save`: write down what runs. Runs in the user's shell."""

import click
import msgspec

from ...supervisor.errors import FastlbError
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.home.saved_apps import FILE_NAME, save_apps
from ..options import AppCommand, json_option
from ..output import Output

EXAMPLES = ("fastlb save", "fastlb save --force")


class SavedEntry(msgspec.Struct, frozen=True):
    """One app that was saved."""

    name: str
    is_running: bool


class SavedFile(msgspec.Struct, frozen=True):
    """The result of `save --json`: the file that was written, and what is in it."""

    file: str
    apps: list[SavedEntry]


@click.command("save", cls=AppCommand, examples=EXAMPLES, short_help="Write down what runs, for resurrect (dump).")
@click.option("--force", "-f", is_flag=True, help="Also when there is no app.")
@json_option
def command(force: bool, as_json: bool) -> None:
    """Write down all apps, how each was started, and which of them run. `fastlb resurrect` brings them back.

    The file is yours alone to read; it has declared variables, never those of your shell. What it had before is kept
    beside it.
    """
    home = default_home()
    names = list_apps(home)
    if not names and not force:
        raise FastlbError("there are no apps: nothing was saved, and --force saves that there are none")
    apps = save_apps(home, names)
    if as_json:
        saved = [SavedEntry(app.name, app.is_running) for app in apps]
        Output.for_results().json(SavedFile(str(home / FILE_NAME), saved))
        return
    running = sum(app.is_running for app in apps)
    Output.for_results().line(f"saved {len(apps)} apps, {running} of them running, in {home / FILE_NAME}")
