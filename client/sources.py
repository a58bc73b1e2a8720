"""Owns where streams come from: connections to supervisors, and files of apps. Runs in the user's program."""

import contextlib
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ..cli.apps import connected, paths_of
from ..cli.commands.events import Readers, coming
from ..cli.event_reader import last_events
from ..cli.file_changes import FileChanges
from ..cli.log_printer import asked_of, record_of, tail_of
from ..cli.log_view.app_logs import config_of, shape_of
from ..cli.log_view.merging import in_order
from ..cli.log_view.records import Record
from ..cli.log_view.selection import Selection
from ..cli.operations import OPERATION_ANSWER_SECONDS
from ..cli.targets import Target
from ..supervisor.control.client import ControlClient, NotRunning
from ..supervisor.control.progress import Progress
from ..supervisor.control.protocol import Done
from ..supervisor.errors import FastlbError
from ..supervisor.output.event_record import Event
from .streams import BEGUN


@dataclass
class Interrupter:
    """Ends what is waited for, once or before it is waited for at all. `end`: None: nothing is waited for yet."""

    end: Callable[[], None] | None = None
    is_closed: bool = field(default=False)

    def set(self, end: Callable[[], None]) -> None:
        """Say how the wait is ended that begins now."""
        self.end = end
        if self.is_closed:
            end()

    def __call__(self) -> None:
        """End it. May be called twice, and when nothing is left to be ended."""
        self.is_closed = True
        if self.end:
            self.end()


def begun(
    name: str, method: str, params: msgspec.Struct | None, interrupter: Interrupter
) -> Generator[Progress, None, Done]:
    """Begin an operation, and return its steps.

    Raises:
        NotRunning: the app is stopped.
        FastlbError: its supervisor refuses, or does not answer.
    """
    opened = contextlib.ExitStack()
    client = opened.enter_context(connected(name, OPERATION_ANSWER_SECONDS))
    try:
        client.wait_for_ever()
        client.begin(method, params)
    except BaseException:
        opened.close()
        raise
    interrupter.set(client.interrupt)
    return _steps(client, method, opened)


def _steps(client: ControlClient, method: str, opened: contextlib.ExitStack) -> Generator[Progress, None, Done]:
    with opened:
        yield BEGUN
        done: Done = yield from client.steps(method)
        return done


def log_lines(
    name: str, selection: Selection, count: int | None, *, follow: bool, interrupter: Interrupter
) -> Generator[Record, None, None]:
    """Yield BEGUN, the last `count` lines of an app (None: all), then with `follow` those that come.

    Raises:
        FastlbError: a file cannot be read; with `follow`: the app is stopped, which is said behind its last lines.
    """
    paths = paths_of(name)
    with contextlib.ExitStack() as opened:
        ends = None
        if follow:
            try:
                client = opened.enter_context(connected(name, OPERATION_ANSWER_SECONDS))
            except NotRunning:
                yield BEGUN
                yield from in_order(tail_of(opened, paths, selection, count))
                raise FastlbError(f"{name} is not running: there is nothing to follow") from None
            ends = client.begin_lines(asked_of(selection))
            interrupter.set(client.interrupt)
        last = tail_of(opened, paths, selection, count, ends)
        yield BEGUN
        yield from in_order(last)
        if follow:
            shape = shape_of(config_of(paths))
            records = (record_of(note, name, shape) for note in client.lines())
            yield from (record for record in records if selection.wants(record, 0.0))


def events(
    targets: list[Target], count: int, *, follow: bool, interrupter: Interrupter
) -> Generator[Event, None, None]:
    """Yield BEGUN, the last `count` events of apps, or of some of their workers, then with `follow` those that come.

    Raises:
        FastlbError: a file cannot be read.
    """
    with contextlib.closing(Readers(targets)) as readers:
        if follow:
            yield from _coming_events(readers, count, interrupter)
        else:
            yield BEGUN
            yield from last_events(readers.present(), count)


def _coming_events(readers: Readers, count: int, interrupter: Interrupter) -> Generator[Event, None, None]:
    wanted, stop = os.pipe()
    is_open = [wanted]

    def end() -> None:
        """Nobody reads the pipe any more, which `changes` notices."""
        while is_open:
            os.close(is_open.pop())

    try:
        interrupter.set(end)
        with FileChanges(stop) as changes:
            batches = coming(readers, count, changes)
            last = next(batches)
            yield BEGUN
            yield from last
            for some in batches:
                yield from some
    finally:
        end()
        os.close(stop)


def home_of(home: str | os.PathLike[str] | None) -> Path | None:
    """Return the absolute path of a home that was named; None: none was."""
    return None if home is None else Path(os.path.abspath(Path(home).expanduser()))
