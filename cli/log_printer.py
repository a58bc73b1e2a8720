"""Owns showing logs: what was written, and what comes. Runs in the user's shell; one thread an app to follow."""

import contextlib
import resource
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import click

from ..supervisor.control.client import LineNote, NotRunning
from ..supervisor.control.protocol import LogsParams
from ..supervisor.errors import FastlbError, UsageError
from ..supervisor.home.paths import AppPaths
from .apps import ANSWER_SECONDS, connected, paths_of
from .live_lines import LiveLines, Meeting
from .log_view.app_logs import config_of, log_sources, shape_of
from .log_view.chains import Ends
from .log_view.formatting import Look, make_formatter
from .log_view.merging import Stretch, find_tail, in_order
from .log_view.records import Record, Shape, recognize
from .log_view.selection import Selection
from .log_view.sources import LogSource
from .output import Output
from .parallel import ask_each


@dataclass(frozen=True)
class Wanted:
    """What is to be shown, and how.

    Attributes:
        selection: which lines.
        look: how they look.
        lines: so many last ones of each app; None: all.
        workers: of some apps only these, by app.
    """

    selection: Selection
    look: Look
    lines: int | None
    workers: Mapping[str, Collection[int]] = field(default_factory=dict)

    def of(self, name: str) -> Selection:
        """Return which lines of an app are wanted."""
        workers = self.workers.get(name)
        return replace(self.selection, workers=frozenset(workers)) if workers else self.selection


class LogPrinter:
    """Prints the logs of several apps as one stream of whole lines.

    Raises:
        UsageError: the look cannot be.
    """

    def __init__(self, output: Output, wanted: Wanted) -> None:
        self._output = output
        self._wanted = wanted
        self._printing = threading.Lock()
        try:
            self._format = make_formatter(wanted.look, click.style)
        except ValueError as error:
            raise UsageError(f"--timestamp: {error}") from None

    def show(self, names: Sequence[str]) -> list[FastlbError]:
        """Print what was written, of all apps in the order of time. Return what could not be read."""
        failures: list[FastlbError] = []
        with contextlib.ExitStack() as opened:
            stretches: list[Stretch] = []
            for name in names:
                try:
                    stretches += self._tail(opened, paths_of(name), None)
                except FastlbError as error:
                    failures.append(error)
            self._print_all(stretches)
        return failures

    def follow(self, names: Sequence[str]) -> list[FastlbError]:
        """Print what was written, then what comes until all supervisors have ended. Return what failed.

        Several apps are one stream in order of time.
        """
        tails: Meeting[Stretch] = Meeting(len(names), self._print_all, ANSWER_SECONDS)
        live = LiveLines(self._print_records) if len(names) > 1 else None
        following = _Following(tails, live)
        answers = ask_each(lambda name: self._follow_one(name, following), names)
        if live:
            live.close()
        return [answer for answer in answers if isinstance(answer, FastlbError)]

    def _follow_one(self, name: str, following: "_Following") -> None:
        """Raise FastlbError if the app is stopped (its last lines are printed), or its supervisor does not answer."""
        paths = paths_of(name)
        shape = shape_of(config_of(paths))
        coming = replace(self._wanted.of(name), since=None, until=None)
        with following.taking_part() as take_tail:
            try:
                # Only connecting is bounded in time: the app's next line may be hours away.
                with connected(name, ANSWER_SECONDS) as client:
                    print_tail = partial(self._print_tail, paths, take_tail)
                    for note in client.stream_lines(asked_of(self._wanted.selection), print_tail):
                        record = record_of(note, name, shape)
                        if coming.wants(record, 0.0):
                            self._pass_on(record, following.live)
            except NotRunning:
                self._print_tail(paths, take_tail, None)
                raise FastlbError(f"{name} is not running: there is nothing to follow") from None

    def _pass_on(self, record: Record, live: LiveLines[Record] | None) -> None:
        if live:
            live.add(record, record.time)
        else:
            self._print_records([record])

    def _print_records(self, records: Sequence[Record]) -> None:
        with self._printing:
            for record in records:
                self._output.log_text(self._format(record))
            self._output.flush()

    def _print_tail(self, paths: AppPaths, take: "TakeTail", ends: Ends | None) -> None:
        with contextlib.ExitStack() as opened:
            take(self._tail(opened, paths, ends))

    def _tail(self, opened: contextlib.ExitStack, paths: AppPaths, ends: Ends | None) -> list[Stretch]:
        return tail_of(opened, paths, self._wanted.of(paths.name), self._wanted.lines, ends)

    def _print_all(self, stretches: Sequence[Stretch]) -> None:
        with self._printing:
            for record in in_order(stretches):
                self._output.log_text(self._format(record))
            self._output.flush()


def asked_of(selection: Selection) -> LogsParams:
    """Return how a supervisor is asked for the lines of a selection."""
    streams = selection.streams
    others: list[Literal["access", "event"]] = [stream for stream in ("access", "event") if stream in streams]
    if {"out", "err"} <= streams:
        return LogsParams("all", others)
    return LogsParams("out" if "out" in streams else "err" if "err" in streams else "none", others)


def tail_of(
    opened: contextlib.ExitStack, paths: AppPaths, selection: Selection, count: int | None, ends: Ends | None = None
) -> list[Stretch]:
    """Return where the last lines of an app are that are wanted.

    Args:
        opened: closes the files in the end.
        paths: of the app.
        selection: which are wanted.
        count: how many; None: all.
        ends: as Chain takes them.

    Raises:
        FastlbError: a file cannot be read.
    """
    _allow_many_files()
    sources = log_sources(paths, selection.streams, ends)
    for source in sources:
        opened.callback(source.close)
    with _readable(sources):
        return find_tail(sources, selection, count)


TakeTail = Callable[[Sequence[Stretch]], None]


@dataclass(frozen=True)
class _Following:
    """What the threads share that follow several apps. `live`: None: there is one app only."""

    tails: Meeting[Stretch]
    live: LiveLines[Record] | None

    @contextlib.contextmanager
    def taking_part(self) -> Iterator[TakeTail]:
        """Yield what takes an app's last lines; an app that has none to give is not waited for."""
        has_come = False

        def take(stretches: Sequence[Stretch]) -> None:
            nonlocal has_come
            has_come = True
            self.tails.come(stretches)

        try:
            yield take
        finally:
            if not has_come:
                self.tails.stay_away()


def record_of(note: LineNote, app: str, shape: Shape) -> Record:
    """Return what is known of a line that a supervisor has sent. `shape`: of the lines of the app."""
    record = Record(app, note.stream, note.text.encode(errors="backslashreplace"), note.text)
    record.time, record.worker, record.pid = note.time or None, note.worker, note.pid
    return recognize(record, "events" if note.stream == "event" else shape)


@contextlib.contextmanager
def _readable(sources: Sequence[LogSource]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FastlbError(f"cannot read {error.filename or sources[0].path}: {error.strerror or error}") from error


def _allow_many_files() -> None:
    """Of an app whose processes have files of their own thousands may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
