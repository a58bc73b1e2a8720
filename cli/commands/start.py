"""`fastlb start`: start an app in the background. Runs in the user's shell."""

from typing import Any

import click

from ..app_table import app_table
from ..apps import read_state
from ..launching import launch, refuse_other_app, requested_config
from ..output import Output
from ..setting_options import SettingsCommand, given_settings

EXAMPLES = (
    "fastlb start server:app                            # `app` in server.py, 1 worker, 127.0.0.1:8000",
    "fastlb start -w max -b 0.0.0.0:80 project.wsgi:application",
    "fastlb start -w 8 -b unix:/run/shop.sock -n shop project.asgi:application",
    "fastlb start -w 4 server.js                        # Node; it listens where it asks to",
    "fastlb start -w 4 -b :80 dist/main.js              # and here on port 80 instead",
    "fastlb start 'server:create_app()' -- --verbose    # a factory; arguments for the app",
    "fastlb start shop                                  # once more, as it was started before",
)


@click.command("start", cls=SettingsCommand, examples=EXAMPLES, short_help="Start an app in the background.")
@click.argument("target")
@click.option("--no-wait", is_flag=True, help="Return when the workers are ready, without waiting for --settle.")
def command(target: str, args: tuple[str, ...], no_wait: bool, **given: Any) -> None:
    """Start an app in the background, and return when its workers serve and have lived for --settle.

    TARGET is module:attribute (an ASGI or WSGI app, found out by looking), module:factory(), or a Node script
    (.js .mjs .cjs .ts .mts, a folder with a package.json). The name of an app that was stopped starts it as
    before, but for the options that are given. What stands behind -- is for the app.

    When it fails, nothing of it is left running, and a worker's traceback is shown.
    """
    settings = given_settings(given)
    config = requested_config(target, args, settings)
    if target != config.name:
        refuse_other_app(config, settings)
    where = launch(config, wait=not no_wait)
    output = Output.for_results()
    output.line(where)
    output.table(app_table([read_state(config.name).entry]))
    name = config.name
    output.line(f"next: fastlb list | fastlb logs {name} | fastlb reload {name} | fastlb stop {name}")
