"""`fastlb kill`: stop everything. Runs in the user's shell."""

import functools

import click

from ...supervisor.home.app_lock import is_running
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ..apps import paths_of
from ..operations import do_each_at_once, end, say_nothing_to_do
from ..options import AppCommand, json_answers

EXAMPLES = ("fastlb kill", "fastlb kill --force")


@click.command("kill", cls=AppCommand, examples=EXAMPLES, short_help="Stop everything.")
@click.option("--force", is_flag=True, help="Do not wait for requests that are under way.")
@json_answers
def command(force: bool) -> int:
    """Stop every app; kill a supervisor that does not answer. The apps stay in the list."""
    running = [name for name in list_apps(default_home()) if is_running(paths_of(name))]
    if not running:
        say_nothing_to_do("nothing is running")
        return 0
    return do_each_at_once(functools.partial(end, force=force), running, "stopping")
