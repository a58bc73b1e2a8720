"""`fastlb canary`: new code on trial beside the old, then a reload or nothing. Runs in the user's shell."""

import click

from ...supervisor.control.client import NotRunning
from ...supervisor.control.protocol import CanaryParams
from ...supervisor.errors import FastlbError, UsageError
from ...supervisor.settings.quantities import check_unit_is_clear, parse_duration
from ..operations import do_each, operate
from ..options import AppCommand, complete_names, json_answers
from ..shell_environment import UPDATE_ENV_HELP, shell_environment
from ..targets import resolve_whole_app

EXAMPLES = (
    "fastlb canary shop --for 5m",
    "fastlb canary shop --percent 25 --health /health",
    "fastlb canary shop --for 1m --max-errors 0.1 || echo \"not out: $?\"",
)
DEFAULTS = CanaryParams()


@click.command("canary", cls=AppCommand, examples=EXAMPLES, short_help="Try new code beside the old, then reload.")
@click.argument("name", shell_complete=complete_names)
@click.option("--for", "duration", default="10m", metavar="DURATION", help="How long it is tried.  [default: 10m]")
@click.option("--percent", type=float, default=0.0, metavar="P", help="Workers on trial, in percent; default one.")
@click.option("--health", default="", metavar="PATH|tcp|COMMAND", help="Health check that the new workers get.")
@click.option(
    "--min-requests",
    type=int,
    default=DEFAULTS.min_requests,
    metavar="N",
    help=f"Requests without which it has proven nothing.  [default: {DEFAULTS.min_requests}]",
)
@click.option(
    "--max-errors",
    type=float,
    default=DEFAULTS.max_errors,
    metavar="POINTS",
    help=f"Percent points that it may fail more often than the others.  [default: {DEFAULTS.max_errors:g}]",
)
@click.option(
    "--max-slowdown",
    type=float,
    default=DEFAULTS.max_slowdown,
    metavar="TIMES",
    help=f"How many times as long as that of the others its p99 may be.  [default: {DEFAULTS.max_slowdown:g}]",
)
@click.option("--update-env", is_flag=True, help=UPDATE_ENV_HELP)
@json_answers
def command(name: str, duration: str, update_env: bool, **asked: float | int | str) -> int:
    """Start one worker with the new code beside the others, which go on, and look at its errors and latencies.

    When it does as well as they do, the others are replaced as by `reload`, and the exit code is 0. When it crashes,
    is ill, fails more often, is slower, or gets too few requests to tell, it is drained, the others have gone on, and
    the exit code is 4. ^C rolls back, too.
    """
    params = CanaryParams(duration=_seconds(duration), environment=shell_environment(update_env), **asked)  # type: ignore[arg-type]

    def canary(name: str) -> str:
        try:
            return operate(name, "canary", params)
        except NotRunning:
            raise FastlbError(f"{name} is stopped, so nothing can be compared: `fastlb start {name}`") from None

    return do_each(canary, [resolve_whole_app(name)])


def _seconds(text: str) -> float:
    try:
        check_unit_is_clear(text)
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--for: {error}") from None
