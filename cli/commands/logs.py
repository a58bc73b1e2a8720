"""`fastlb logs`: what the workers wrote. Runs in the user's shell; one thread an app while following."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click
import msgspec

from ...supervisor.control.client import NotRunning
from ...supervisor.errors import FastlbError
from ...supervisor.home.app_lock import is_running
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.log_files import LogTemplate, log_templates
from ...supervisor.home.log_files import Output as LogOutput
from ...supervisor.home.paths import AppPaths, default_home
from ...supervisor.home.stored_config import load_config
from ...supervisor.settings.app_config import AppConfig
from ..apps import ANSWER_SECONDS, connected, paths_of
from ..log_tail import last_lines_with_rotated
from ..options import AppCommand, complete_names
from ..output import Output
from ..parallel import ask_each
from ..targets import resolve_names

DEFAULT_LINES = 15
EXAMPLES = (
    "fastlb logs                             # all apps: last lines, then follow (on a terminal)",
    "fastlb logs shop --lines 100 --nostream",
    "fastlb logs shop --err --follow | grep ERROR",
)
Stream = Literal["out", "err"]


class LogView(msgspec.Struct, frozen=True):
    """What of the logs is wanted.

    Attributes:
        streams: which output.
        lines: how many last lines of each file.
        has_prefix: whether a line says which app wrote it.
    """

    streams: tuple[Stream, ...]
    lines: int
    has_prefix: bool


@click.command("logs", cls=AppCommand, examples=EXAMPLES, short_help="Show what the workers write.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1_000_000),
    default=DEFAULT_LINES,
    metavar="N",
    help=f"Last lines of each file.  [default: {DEFAULT_LINES}]",
)
@click.option(
    "-f/-s",
    "--follow/--nostream",
    default=None,
    help="Whether to go on with what is written from now on.  [default: follow on a terminal]",
)
@click.option("--out", "only", flag_value="out", help="Only standard output.")
@click.option("--err", "only", flag_value="err", help="Only standard error.")
def command(names: tuple[str, ...], lines: int, follow: bool | None, only: Stream | None) -> int:
    """Show the last lines that the workers of apps wrote, then follow. Without NAME: of all apps.

    Into a pipe or file only the last lines are shown, unless --follow is given. A stopped app has nothing to
    follow.
    """
    chosen = resolve_names(names) if names else list_apps(default_home())
    output = Output.for_results()
    view = LogView((only,) if only else ("out", "err"), lines, output.is_terminal or len(chosen) > 1)
    printer = LogPrinter(output, view)
    if follow is None:
        follow = output.is_terminal and any(is_running(paths_of(name)) for name in chosen)
    return _report(ask_each(printer.follow if follow else printer.show_tail, chosen))


def _report(answers: Sequence[FastlbError | None]) -> int:
    failures = [answer for answer in answers if answer]
    for failure in failures:
        Output.for_errors().error(failure.message)
    return failures[0].exit_code if failures else 0


class LogPrinter:
    """Prints the logs of several apps as one stream of whole lines; each app may have its own thread."""

    def __init__(self, output: Output, view: LogView) -> None:
        self._output = output
        self._view = view
        self._printing = threading.Lock()

    def show_tail(self, name: str) -> None:
        """Print the last lines of an app."""
        self._print_tail(paths_of(name))

    def follow(self, name: str) -> None:
        """Print the last lines of an app, then what it writes until its supervisor ends.

        Raises:
            FastlbError: the app is stopped (its last lines are printed), or its supervisor does not answer.
        """
        paths = paths_of(name)
        streams = self._view.streams
        try:
            # Only connecting is bounded in time: the app's next line may be hours away.
            with connected(name, ANSWER_SECONDS) as client:
                for note in client.stream_lines(
                    streams[0] if len(streams) == 1 else "all", lambda ends: self._print_tail(paths, ends)
                ):
                    with self._printing:
                        self._print(name, note.stream, note.text)
                        self._output.flush()
        except NotRunning:
            self._print_tail(paths)
            raise FastlbError(f"{name} is not running: there is nothing to follow") from None

    def _print_tail(self, paths: AppPaths, ends: dict[str, int] | None = None) -> None:
        """Print the last lines of each file; `ends`: where following begins, in bytes."""
        with self._printing:
            templates = _templates(paths)
            for stream in self._view.streams:
                files = templates[stream].existing() if stream in templates else []
                end_bytes = ends.get(stream) if ends and len(files) == 1 else None
                for file in files:
                    for line in _read_tail(file, self._view.lines, end_bytes):
                        self._print(paths.name, stream, line)
            self._output.flush()

    def _print(self, name: str, stream: Stream, text: str) -> None:
        self._output.log_line(name if self._view.has_prefix else "", stream, text)


def _templates(paths: AppPaths) -> dict[LogOutput, LogTemplate]:
    """Return where the app writes what; an app that was never kept, or cannot be read any more, wrote where all do."""
    try:
        config = load_config(paths)
    except FastlbError:
        config = AppConfig(target="app", name=paths.name)
    return log_templates(config, paths)


def _read_tail(path: Path, lines: int, end_bytes: int | None) -> list[str]:
    try:
        return last_lines_with_rotated(path, lines, end_bytes)
    except OSError as error:
        raise FastlbError(f"cannot read {path}: {error.strerror}") from error
