"""`fastlb init`: write a configuration file to begin with. Runs in the user's shell."""

import os
import sys
from typing import Any

import click
import msgspec

from ...supervisor.errors import FastlbError, UsageError
from ...supervisor.settings.app_name import is_app_name
from ...supervisor.settings.targets import is_import, is_node_file
from ..decision_tree import MANY_REQUESTS, Advice, Situation, advise
from ..finding_apps import FoundApp, find_app
from ..options import AppCommand, json_option
from ..output import Output

FILE = "fastlb.toml"
PLACEHOLDER = "a placeholder"
EXAMPLES = (
    "fastlb init                                # asks what it cannot find out",
    "fastlb init --stateless --requests 2000    # asks nothing",
    "fastlb init --target jobs.sh --no-http",
)
PAGE = """\
# fastlb start {file}    starts it; again: makes what runs match this file (--dry-run shows how)
# fastlb check {file}    says whether it could be started
# Every setting: `fastlb start --help`; for your editor: `fastlb config schema > fastlb.schema.json`

[apps.{name}]
target = "{target}"    # {what}
{app_dir}
# {reasons}
exec_mode = "{exec_mode}"
workers = {workers}
{bind}
# env = {{LOG_LEVEL = "info"}}
# env_production = {{LOG_LEVEL = "warning"}}      # put over env by --env production
# max_memory_restart = "500M"                   # a worker that uses more is replaced
# kill_timeout = "30s"                          # time that requests have to finish
# wait_ready = true                             # a worker is ready when it says so
# cwd = "."                                     # relative to this file
"""
BIND = {
    "served": 'bind = "127.0.0.1:8000"',
    "node": '# bind = "127.0.0.1:8000"                     # elsewhere than where the script asks to listen',
    "own": '# increment_var = "PORT"                        # each process gets a PORT of its own',
}


class WrittenConfig(msgspec.Struct, frozen=True):
    """The result of `init --json`.

    Attributes:
        file: that was written.
        target: what it starts.
        what: how that was found.
        is_placeholder: no app was found: `target` is to be replaced.
        exec_mode: the mode.
        workers: 0: one for each CPU.
        reasons: why, a sentence each.
    """

    file: str
    target: str
    what: str
    is_placeholder: bool
    exec_mode: str
    workers: int
    reasons: list[str]


@click.command("init", cls=AppCommand, examples=EXAMPLES, short_help="Write a fastlb.toml to begin with.")
@click.argument("file", default=FILE)
@click.option("--target", default="", help="What to run; default: what is found by looking.")
@click.option("--http/--no-http", default=None, help="Whether it answers HTTP.")
@click.option("--stateless/--stateful", default=None, help="Whether any process may answer any request.")
@click.option("--requests", type=click.FloatRange(min=0), metavar="N", help="Requests a second that are expected.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@json_option
def command(file: str, target: str, force: bool, as_json: bool, **answers: Any) -> None:
    """Write FILE, a configuration file with comments to begin with. Default: fastlb.toml.

    The app is found by looking: Django, FastAPI, Flask and others, a package.json. On a terminal it asks what it
    cannot find out. Mode and number of workers follow from the decision tree of guides to PM2, and the file says why.
    """
    if os.path.exists(file) and not force:
        raise UsageError(f"{file} is there already: --force overwrites it")
    app = FoundApp(target, "as given", "app") if target else find_app(".") or _asked_app()
    advice = advise(_situation(app, **answers))
    _write(file, page(file, app, advice))
    if as_json:
        found = (app.target, app.what, app.what == PLACEHOLDER, advice.exec_mode, advice.workers, advice.reasons)
        Output.for_results().json(WrittenConfig(file, *found))
    else:
        _tell(file, app, advice)


def _tell(file: str, app: FoundApp, advice: Advice) -> None:
    output = Output.for_results()
    if app.what == PLACEHOLDER:
        where = os.getcwd()
        Output.for_errors().warning(f"no app was found in {where}: put yours for `target` in {file}, before it starts")
        output.line(f"{file} is written, with {app.target} as {PLACEHOLDER}:")
    else:
        output.line(f"{file} starts {app.target} ({app.what}):")
    for reason in advice.reasons:
        output.line(f"  {reason}")
    output.line(f"next: fastlb check {file} | fastlb start {file}")


def _asked_app() -> FoundApp:
    """Return the app that a person names, or what stands where its name is to be."""
    target = _asked_text("No app was found here. What is to be started?", "")
    return FoundApp(target, "as given", "app") if target else FoundApp("server:app", PLACEHOLDER, "app")


def page(file: str, app: FoundApp, advice: Advice) -> str:
    """Return the text of the file."""
    is_served = advice.exec_mode == "cluster"
    kind = "own" if not is_served else "node" if is_node_file(app.target) else "served"
    return PAGE.format(
        file=file,
        name=app.name if is_app_name(app.name) and "." not in app.name else "app",
        target=app.target,
        what=app.what,
        app_dir=f'app_dir = "{app.app_dir}"\n' if app.app_dir else "",
        reasons="\n# ".join(advice.reasons),
        exec_mode=advice.exec_mode,
        workers=advice.workers or '"max"',
        bind=BIND[kind],
    )


def _situation(app: FoundApp, http: bool | None, stateless: bool | None, requests: float | None) -> Situation:
    can_be_cluster = is_import(app.target) or is_node_file(app.target)
    if http is None:
        http = can_be_cluster if app.what != "as given" else _asked("Does it answer HTTP?", default=can_be_cluster)
    if http and stateless is None:
        stateless = _asked("Is it stateless, so that any process may answer any request?", default=False)
    if http and stateless and requests is None:
        many = _asked(f"Do you expect more than {MANY_REQUESTS} requests a second?", default=False)
        requests = MANY_REQUESTS + 1 if many else MANY_REQUESTS
    return Situation(http, stateless, requests or 0, can_be_cluster)


def _asked(question: str, *, default: bool) -> bool:
    return click.confirm(question, default=default, err=True) if sys.stdin.isatty() else default


def _asked_text(question: str, default: str) -> str:
    return str(click.prompt(question, default=default, err=True)) if sys.stdin.isatty() else default


def _write(file: str, text: str) -> None:
    try:
        with open(file, "w", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise FastlbError(f"cannot write {file}: {error.strerror}") from None
