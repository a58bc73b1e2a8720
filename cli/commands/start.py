"""`fastlb start`: start an app in the background. Runs in the user's shell."""

import os
from typing import Any

import click

from ...supervisor.launch.messages import StartedReport
from ..app_table import app_table, url_of
from ..apps import read_state
from ..config_files.reading import is_config_file
from ..file_options import OrderOptions, order_options
from ..instances import number_workers
from ..launching import known_apps, launch
from ..operations import do_each
from ..options import answers_in_json, complete_target, json_answers
from ..output import Output
from ..setting_options import SettingsCommand, given_settings
from ..start_request import StartRequest, origins_text, requested_start
from ..starting_again import is_word_for_several, start_again

EXAMPLES = (
    "fastlb start server:app                  # `app` in server.py, 127.0.0.1:8000",
    "fastlb start -w max -b 0.0.0.0:80 project.wsgi:application",
    "fastlb start -w 8 -b unix:/run/shop.sock -n shop project.asgi:application",
    "fastlb start -w 4 server.js              # Node; it listens where it asks to",
    "fastlb start -w 4 -b :80 dist/main.js    # and here on port 80 instead",
    "fastlb start 'server:create_app()' -- --verbose    # a factory; for the app",
    "fastlb start worker.sh                   # any program, on its own: fork mode",
    "fastlb start npx -n site -- serve -s dist -l 5173",
    "fastlb start --fork -w 2 --increment-var PORT --env PORT=3000 server.js",
    "fastlb start ecosystem.config.js --env production    # all apps of a file",
    "fastlb start ecosystem.config.js --only api,jobs     # some of them",
    "fastlb start shop                        # once more, as it was started before",
)
NEXT_COMMANDS = ("logs", "reload", "stop")


@click.command("start", cls=SettingsCommand, examples=EXAMPLES, short_help="Start an app in the background.")
@click.argument("target", shell_complete=complete_target)
@click.option("--no-wait", is_flag=True, help="Return when the workers are ready, without waiting for --settle.")
@order_options
@json_answers
def command(target: str, args: tuple[str, ...], no_wait: bool, asked: OrderOptions, **given: Any) -> int:
    """Start an app in the background, and return when its workers serve and have lived for --settle.

    TARGET is module:attribute (an ASGI or WSGI app, found out by looking), module:factory(), or a Node script
    (.js .mjs .cjs .ts .mts, a folder with a package.json): these share one port. Any other program runs in fork
    mode, as processes of their own: a script of any language, a binary, a command such as npx. The name of an app that
    was stopped starts it as before, but for the options that are given; `all`, /a
    pattern/ and the number of a worker start what is stopped of them. What stands behind -- is for the app.

    A configuration file (fastlb.toml, ecosystem.config.js, YAML, JSON, package.json, - for standard input) starts the
    apps that it names, changes those that run otherwise, and ends those that it had and has no more.

    When it fails, nothing of it is left running, and a worker's traceback is shown.
    """
    if is_config_file(target) and target not in known_apps():
        from ..declared.carry_out import carry_out

        given = given_settings(given) | ({"args": args} if args else {})
        return carry_out(asked.order("start", target, given=given, wait=not no_wait))
    asked.refuse_without_file("fastlb start")
    if is_word_for_several(target) and target not in known_apps():
        return start_again(target)
    return start_request(requested_start(target, args, given_settings(given), os.environ), wait=not no_wait)


def start_request(request: StartRequest, *, wait: bool) -> int:
    """Start what is asked for, and show what runs then; `wait`: until it has lived for `settle`."""
    config = request.config

    def start() -> StartedReport:
        return launch(config, wait=wait, is_named=request.is_named, origins=request.origins)

    if answers_in_json():
        return do_each(lambda name: start().text.removeprefix(f"{name} "), [config.name])
    started = start()
    output = Output.for_results()
    output.line(started.text)
    for remark in (origins_text(config, request.origins), *request.remarks, *started.remarks):
        if remark:
            output.line(f"note: {remark}")
    entry = read_state(config.name).entry
    number_workers([entry])
    output.table(app_table([entry]))
    name = config.name
    url = url_of(entry.binds, is_tls=bool(config.ssl_certfile))
    places = [url] if url else []
    output.line("next: " + " | ".join([*places, "fastlb list", *(f"fastlb {do} {name}" for do in NEXT_COMMANDS)]))
    return 0
