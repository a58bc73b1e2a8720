"""`fastlb run`: run an app in the foreground. Runs in the user's shell, and then becomes the supervisor."""

import os
from typing import Any

import click
import msgspec

from ...supervisor.launch.messages import Foreground
from ..config_files.reading import is_config_file
from ..file_options import OrderOptions, one_app_options
from ..launching import become_supervisor, known_apps, say_in_foreground
from ..options import complete_target
from ..reload_options import ReloadOptions, reload_options
from ..setting_options import SettingsCommand, given_settings
from ..start_request import origins_text, requested_start

EXAMPLES = (
    "fastlb run server:app",
    "fastlb run --reload --reload-include '*.html' server:app      # on a laptop",
    "fastlb run -w max -b 0.0.0.0:8000 --access-log server:app    # in a container",
    "fastlb run -b fd:systemd server:app      # in a unit of systemd with a socket",
    "fastlb run ecosystem.config.js --only api --env production    # of a file",
    "fastlb run --json fastlb.toml    # all apps of a file, in one container",
)


@click.command("run", cls=SettingsCommand, examples=EXAMPLES, short_help="Run an app in the foreground.")
@click.argument("target", shell_complete=complete_target)
@click.option("--log-files/--no-log-files", help="Also write output and events to files.  [default: no]")
@click.option(
    "--prefix/--no-prefix",
    default=None,
    help="Say in front of each line which worker wrote it.  [default: on a terminal]",
)
@click.option("--json", "as_json", is_flag=True, help="Every line on the terminal is a JSON object.")
@reload_options
@one_app_options
def command(
    target: str, args: tuple[str, ...], reloading: ReloadOptions, asked: OrderOptions, **given: Any
) -> int:
    """Run an app in the foreground, with the workers' output on the terminal.

    TARGET is as for `fastlb start`; of a configuration file all apps are run, or those that --only names. SIGTERM or ^C
    finishes what is under way and stops, a second one stops at once, SIGHUP reloads. When it has ended, the app is not
    in the list, unless it was there before. Of several apps one that fails ends the others.

    It ends by itself when every worker has crashed too often, with the exit code of the last one: 128 + N for
    signal N, and 1 for 0.

    With --reload it is for a laptop: one worker, started anew when code is saved. Clients wait meanwhile, and as
    long as the code does not start; the traceback is on the terminal.
    """
    how = {name: given.pop(name) for name in ("log_files", "prefix", "as_json")}
    foreground = Foreground(**how, restarts_on_change=reloading.is_on)
    if is_config_file(target) and target not in known_apps():
        from ..declared.foreground import run_apps

        order = asked.order("start", target, given=given_settings(given) | ({"args": args} if args else {}))
        return run_apps(order, foreground, reloading)
    asked.refuse_without_file("fastlb run")
    request = requested_start(target, args, given_settings(given), os.environ)
    config, why_one = reloading.settings(request.config)
    for remark in (origins_text(config, request.origins), *request.remarks, why_one):
        if remark:
            say_in_foreground(remark, foreground, config.name)
    config = msgspec.structs.replace(config, log_type="json") if foreground.as_json else config
    become_supervisor(config, foreground, request.origins, is_known=target in known_apps())
    raise AssertionError("this process is another program now")
