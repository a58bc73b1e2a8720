"""`fastlb restart`: drain all workers and start new ones. Runs in the user's shell."""

import click

from ...supervisor.control.protocol import RestartParams
from ...supervisor.home.app_lock import is_running
from ..apps import paths_of
from ..file_options import OrderOptions, chosen_environment_option, order_options, the_file
from ..operations import do_each, operate
from ..options import AppCommand, json_answers, names_argument
from ..shell_environment import UPDATE_ENV_HELP, shell_environment
from ..starting_again import start_stopped
from ..targets import resolve_targets
from ..worker_operations import names_of, to_targets

EXAMPLES = (
    "fastlb restart shop",
    "fastlb restart 3",
    "fastlb restart all",
    "fastlb restart ecosystem.config.js --only shop",
)


@click.command("restart", cls=AppCommand, examples=EXAMPLES, short_help="Restart apps; start stopped ones.")
@names_argument
@click.option("--update-env", is_flag=True, help=UPDATE_ENV_HELP)
@json_answers
@chosen_environment_option
@order_options
def command(names: tuple[str, ...], update_env: bool, asked: OrderOptions) -> int:
    """Stop all workers of an app, then start new ones. NAME may be `all`, /a pattern/, a namespace, or the number of a
    worker, which is restarted alone. What is stopped is started.

    New workers get connections only when no old one does; new connections wait meanwhile. Old Python workers finish
    what they have in the background; Node workers are gone first, which may take `--kill-timeout`. `fastlb reload` does
    it without a gap.

    Of a configuration file all apps are restarted with what it says now: what no reload can change takes a stop and a
    start. Apps that it has no more are ended.
    """
    if file := the_file(names):
        from ..declared.carry_out import carry_out

        return carry_out(asked.order("restart", file, shell=shell_environment(update_env)))
    asked.refuse_without_file("fastlb restart")
    targets = resolve_targets(names)
    params = RestartParams(environment=shell_environment(update_env))
    return do_each(to_targets(targets, "restart", lambda name: _restart(name, params)), names_of(targets))


def _restart(name: str, params: RestartParams) -> str:
    paths = paths_of(name)
    if is_running(paths):
        return operate(name, "restart", params)
    return start_stopped(name)
