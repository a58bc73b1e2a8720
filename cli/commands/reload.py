"""`fastlb reload`: new code without a gap. Runs in the user's shell."""

import click

from ...supervisor.control.client import NotRunning
from ...supervisor.control.protocol import ReloadParams
from ...supervisor.settings.app_config import MAX_WORKERS
from ..file_options import OrderOptions, chosen_environment_option, order_options, the_file
from ..operations import do_each, operate, refusal_when_stopped
from ..options import AppCommand, called_as_pm2, json_answers, names_argument
from ..shell_environment import UPDATE_ENV_HELP, shell_environment
from ..starting_again import start_stopped
from ..targets import resolve_targets
from ..worker_operations import names_of, to_targets

EXAMPLES = (
    "fastlb reload shop",
    "fastlb reload shop --parallel 4",
    "fastlb reload shop --update-env",
    "fastlb reload all",
    "fastlb reload ecosystem.config.js --env production",
)


@click.command("reload", cls=AppCommand, examples=EXAMPLES, short_help="Load new code; no request is lost.")
@names_argument
@click.option(
    "--parallel",
    type=click.IntRange(1, MAX_WORKERS),
    metavar="N",
    help="Workers that are replaced at a time; default as the app was started.",
)
@click.option("--update-env", is_flag=True, help=UPDATE_ENV_HELP)
@json_answers
@chosen_environment_option
@order_options
def command(names: tuple[str, ...], parallel: int | None, update_env: bool, asked: OrderOptions) -> int:
    """Replace the workers by new ones that load the code anew, one after the other. NAME may be `all`, /a
    pattern/, a namespace, or the number of a worker, which is replaced alone.

    The first new worker must prove itself before an old one is touched. If it cannot start, nothing has
    changed, the traceback is shown, and the exit code is not 0. Settings that `fastlb set` has changed are applied.

    Of a configuration file all apps are reloaded with what it says now, new ones are started, and those that it has no
    more are ended. If it takes a stop to change something, that is said, and nothing is done.
    """
    if file := the_file(names):
        from ..declared.carry_out import carry_out

        return carry_out(asked.order("reload", file, shell=shell_environment(update_env), parallel=parallel))
    asked.refuse_without_file("fastlb reload")
    params = ReloadParams(parallel=parallel, environment=shell_environment(update_env))

    def reload(name: str) -> str:
        try:
            return operate(name, "reload", params)
        except NotRunning:
            if called_as_pm2():
                return start_stopped(name)  # as PM2 does
            raise refusal_when_stopped(name, "reload") from None

    targets = resolve_targets(names)
    return do_each(to_targets(targets, "reload", reload), names_of(targets))
