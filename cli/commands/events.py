"""`fastlb events`: what happened to apps. Runs in the user's shell; reads their files."""

import sys
from collections.abc import Iterable, Iterator, Sequence

import click

from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.output.event_record import Event
from ..apps import paths_of
from ..event_reader import EventReader, last_events
from ..event_text import describe_event, event_members
from ..file_changes import FileChanges
from ..options import AppCommand, complete_names, json_option
from ..output import Output
from ..targets import Target, resolve_targets

DEFAULT_LINES = 30
EXAMPLES = (
    "fastlb events                           # the last events of all apps",
    "fastlb events shop --lines 200",
    "fastlb events shop --follow",
    "fastlb events shop --json | jq 'select(.event == \"worker_crashed\")'",
)


@click.command("events", cls=AppCommand, examples=EXAMPLES, short_help="Show what happened to apps.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1_000_000),
    default=DEFAULT_LINES,
    metavar="N",
    help=f"Last events, of all these apps together.  [default: {DEFAULT_LINES}]",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on, until ^C.")
@json_option
def command(names: tuple[str, ...], lines: int, follow: bool, as_json: bool) -> None:
    """Show the last things that happened to apps, oldest first. Without NAME: to all apps.
    NAME may be /a pattern/, a namespace, or the number of a worker.

    Starts, ends and their reasons, restarts, reloads, limits and who asked for what; they are kept when an app is
    stopped. --json prints one JSON object a line.
    """
    if follow and not names:
        resolve_targets(("all",))
    chosen = resolve_targets(names) if names else []
    if not chosen and not list_apps(default_home()):
        Output.for_errors().line("there are no apps yet, so there are no events")
    readers = Readers(chosen)
    printer = EventPrinter(Output.for_results(), has_app=len(chosen) != 1, as_json=as_json)
    if follow:
        _follow(readers, lines, printer)
    else:
        printer.print(last_events(readers.present(), lines))


class EventPrinter:
    """Prints events, one a line. `has_app`: whether a line says which app it is about."""

    def __init__(self, output: Output, *, has_app: bool, as_json: bool) -> None:
        self._output = output
        self._has_app = has_app
        self._as_json = as_json

    def print(self, events: Iterable[Event]) -> None:
        """Print them and hand them over to whoever reads."""
        for event in events:
            if self._as_json:
                self._output.json_line(event_members(event))
            else:
                self._output.event_line(event.level, *describe_event(event, has_app=self._has_app))
        self._output.flush()


class Readers:
    """The readers of the events of apps, or of some of their workers. `chosen`: which; empty: of all apps."""

    def __init__(self, chosen: Sequence[Target]) -> None:
        self._chosen = chosen
        self._by_name: dict[str, EventReader] = {}

    def present(self) -> list[EventReader]:
        """Return those of all apps that there are now."""
        for target in self._chosen or map(Target, list_apps(default_home())):
            if target.name not in self._by_name:
                self._by_name[target.name] = EventReader(paths_of(target.name).events, target.name, target.workers)
        return list(self._by_name.values())

    def close(self) -> None:
        """Close all files. May be called twice."""
        for reader in self._by_name.values():
            reader.close()

    def new_events(self) -> list[Event]:
        """Return what has come, to any app, since it was read."""
        return sorted((event for reader in self.present() for event in reader.read_new()), key=lambda event: event.time)


def _follow(readers: Readers, lines: int, printer: EventPrinter) -> None:
    """Print the last events, then what comes, until nobody reads any more."""
    with FileChanges(sys.stdout.fileno()) as changes:
        for events in coming(readers, lines, changes):
            printer.print(events)


def coming(readers: Readers, lines: int, changes: FileChanges) -> Iterator[list[Event]]:
    """Yield the last events, then what comes, until `changes` says that nobody wants it any more.

    Raises:
        FastlbError: a file cannot be read, or the system does not tell of changes.
    """
    changes.watch_directory(readers.present()[0].path.parent)
    is_first = True
    while True:
        # Watched before it is read: nothing comes in between that does not wake us.
        for reader in readers.present():
            changes.watch_file(reader.path)
        yield last_events(readers.present(), lines) if is_first else readers.new_events()
        is_first = False
        if not changes.wait():
            return
