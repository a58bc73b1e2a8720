"""`fastlb logs`: what the workers wrote and the supervisor did. Runs in the user's shell."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import click

from ...supervisor.errors import UsageError
from ...supervisor.home.app_lock import is_running
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.output import wall_clock
from ..apps import paths_of
from ..instances import claimed_ids
from ..log_printer import LogPrinter, Wanted
from ..log_view.formatting import DEFAULT_TIMESTAMP, Form, Look
from ..log_view.records import Stream
from ..log_view.selection import Selection, parse_level, parse_moment, parse_pattern
from ..options import AppCommand, complete_names
from ..output import Output
from ..targets import Target, resolve_targets

DEFAULT_LINES = 15
EXAMPLES = (
    "fastlb logs                             # of all apps; a terminal follows",
    "fastlb logs shop --lines 100 --nostream",
    "fastlb logs shop --err --since 10m --grep 'timeout|refused'",
    "fastlb logs shop --events --level warning",
    "fastlb logs shop --json --worker 3 | jq .message",
)
Value = TypeVar("Value")


def _form(name: Form, option: str, text: str) -> Callable[..., Any]:
    return click.option(option, "form", flag_value=name, help=text)


@click.command("logs", cls=AppCommand, examples=EXAMPLES, short_help="Show what the workers write.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1_000_000),
    metavar="N",
    help=f"Last lines of each app that are wanted.  [default: {DEFAULT_LINES}; all with --since]",
)
@click.option(
    "-f/-s",
    "--follow/--nostream",
    default=None,
    help="Whether to go on with what is written from now on.  [default: follow on a terminal]",
)
@click.option("--out", "streams", multiple=True, flag_value="out", help="Standard output; may be given with --err.")
@click.option("--err", "streams", multiple=True, flag_value="err", help="Standard error.")
@click.option(
    "--access", "streams", multiple=True, flag_value="access", help="The access log that has a file of its own."
)
@click.option("--events", "streams", multiple=True, flag_value="event", help="What the supervisor did and saw.")
@click.option("--worker", "workers", type=click.IntRange(0), multiple=True, metavar="N", help="Only of this worker.")
@click.option("--since", metavar="TIME", help="Only later ones: 10m (ago), 14:30, '2026-03-01 14:30'.")
@click.option("--until", metavar="TIME", help="Only earlier ones.")
@click.option("--grep", metavar="REGEX", help="Only lines in which this is found.")
@click.option("--level", metavar="LEVEL", help="Only events and JSON lines that are at least so severe: warning.")
@_form("json", "--json", "One JSON object a line, for programs.")
@_form("pairs", "--format", "timestamp=... app=... id=... type=... message=... a line.")
@_form("raw", "--raw", "Nothing but the lines, byte for byte: they may steer your terminal.")
@click.option(
    "--timestamp",
    is_flag=False,
    flag_value=DEFAULT_TIMESTAMP,
    metavar="[FORMAT]",
    help="Begin each line with its time, as far as it is known.",
)
@click.option("--pm-id", is_flag=True, help="Begin each line as PM2: with the number that `list` has, `3|shop | `.")
@click.option("--highlight", metavar="TEXT", help="Make this conspicuous, on a terminal with colours.")
def command(names: tuple[str, ...], lines: int | None, follow: bool | None, **asked: Any) -> int:
    """Show the last lines of apps, of all streams in the order of time, then follow. Without NAME: of all apps.

    A line begins with its worker's number in the app, app and stream: `3|shop err | `. Into a pipe or file only the
    last lines are shown, unless --follow is given. A stopped app has nothing to follow.
    """
    known = list_apps(default_home())
    if asked["timestamp"] in known and not names:
        names, asked["timestamp"] = (asked["timestamp"],), DEFAULT_TIMESTAMP  # `--timestamp shop` names an app
    targets = resolve_targets(names) if names else [Target(name) for name in known]
    chosen = [target.name for target in targets]
    if not chosen:
        Output.for_errors().line("there are no apps yet, so there are no logs")
        return 0
    output = Output.for_results()
    if lines is None:
        lines = None if asked["since"] else DEFAULT_LINES
    printer = LogPrinter(
        output,
        Wanted(_selection(asked), _look(output, asked), lines, {target.name: target.workers for target in targets}),
    )
    if follow and asked["until"]:
        raise UsageError("--follow shows what comes, and --until what was: give one of them")
    if follow is None:
        follow = output.is_terminal and not asked["until"] and any(is_running(paths_of(name)) for name in chosen)
    failures = printer.follow(chosen) if follow else printer.show(chosen)
    for failure in failures:
        Output.for_errors().error(failure.message)
    return failures[0].exit_code if failures else 0


def _selection(asked: Mapping[str, Any]) -> Selection:
    now = wall_clock.now()
    streams: tuple[Stream, ...] = asked["streams"]
    return Selection(
        streams=frozenset(streams) or Selection().streams,
        workers=frozenset(asked["workers"]),
        since=_read("--since", asked["since"], lambda text: parse_moment(text, now)),
        until=_read("--until", asked["until"], lambda text: parse_moment(text, now)),
        pattern=_read("--grep", asked["grep"], parse_pattern),
        level=_read("--level", asked["level"], parse_level),
    )


def _look(output: Output, asked: Mapping[str, Any]) -> Look:
    look = Look(asked["form"] or "marked", asked["timestamp"] or "", asked["highlight"] or "", output.has_color)
    return replace(look, pm_id=claimed_ids().id_of) if asked["pm_id"] else look


def _read(option: str, text: str | None, parse: Callable[[str], Value]) -> Value | None:
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(f"{option} {error}") from None
