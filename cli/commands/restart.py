"""`fastlb restart`: drain all workers and start new ones. Runs in the user's shell."""

import click

from ...supervisor.home.app_lock import is_running
from ...supervisor.home.stored_config import load_config
from ...supervisor.kinds import traits_of
from ...supervisor.settings.declared import check_config
from ..apps import paths_of
from ..launching import launch
from ..operations import do_each, operate
from ..options import AppCommand, names_argument
from ..targets import resolve_whole_apps

EXAMPLES = ("fastlb restart shop", "fastlb restart all")


@click.command("restart", cls=AppCommand, examples=EXAMPLES, short_help="Restart apps; start stopped ones.")
@names_argument
def command(names: tuple[str, ...]) -> int:
    """Stop all workers of an app, then start new ones. NAME may be `all`. A stopped app is started.

    New workers get connections only when no old one does; new connections wait meanwhile. Old Python workers finish
    what they have in the background; Node workers are gone first, which may take `--kill-timeout`. `fastlb reload` does
    it without a gap.
    """
    return do_each(_restart, resolve_whole_apps(names))


def _restart(name: str) -> str:
    paths = paths_of(name)
    if is_running(paths):
        return operate(name, "restart")
    config = load_config(paths)
    check_config(config, traits_of(config))
    return launch(config).text.removeprefix(f"{name} ")
