"""Owns asking for new workers when files have changed: the setting `watch`.

Runs in the supervisor process. It replaces nobody itself: that is an operation, which waits its turn; what changes
while it waits is the same request. Nothing wakes up while no file changes.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..home.paths import AppPaths
from ..operations import Operation, OperationRequest
from ..output.event_log import EventLog
from ..safe_text import escape_line
from ..settings.app_config import AppConfig
from .gathering import Gathering, LoopGuard
from .inotify import Inotify, limit_advice
from .rules import WatchRules
from .tree import WatchedTree

MOST_NAMED = 5
RETRY_SECONDS = 1.0
LOOP = "these change whenever the app starts: if it writes them itself, add them to ignore_watch"


@dataclass(frozen=True)
class WatchParts:
    """What a FileWatch works with.

    Attributes:
        config: returns the settings.
        paths: of the app, whose own files never count.
        log: is told what has changed.
        ask: takes a request; returns whether it is accepted.
        is_served: returns whether a worker of the newest generation serves.
        remark: tells the user what may not be expected.
        operation: what is asked for.
    """

    config: Callable[[], AppConfig]
    paths: AppPaths
    log: EventLog
    ask: Callable[[OperationRequest], bool]
    is_served: Callable[[], bool]
    remark: Callable[[str], None]
    operation: Operation = Operation.RELOAD


class FileWatch:
    """Watches the files of an app. Make it on the event loop; it begins with the first look."""

    asker = "watch"

    def __init__(self, parts: WatchParts) -> None:
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._rules = WatchRules(())
        self._inotify: Inotify | None = None
        self._tree: WatchedTree | None = None
        self._told = ""
        self._gathering = Gathering()
        self._guard = LoopGuard()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._config: AppConfig | None = None

    def follow_settings(self) -> None:
        """Watch what the settings say now; begin, end or change that if need be."""
        config = self._parts.config()
        if config is self._config or self._is_closed:
            return
        self._config = config
        rules = WatchRules.of(config, self._parts.paths)
        if rules != self._rules:
            self._end()
            self._rules = rules
            if rules.roots:
                self._begin()

    def close(self) -> None:
        """Watch nothing more."""
        self._is_closed = True
        self._end()

    def _begin(self) -> None:
        try:
            self._inotify = Inotify()
        except OSError as error:
            advice = limit_advice(error)
            self._tell(f"nothing is watched, {error.strerror}" + (f": {advice}" if advice else ""))
            return
        self._tree = WatchedTree(self._inotify, self._rules)
        self._loop.add_reader(self._inotify.fd, self._on_readable)
        roots = ", ".join(os.path.join(*each) if each[1] else each[0] for each in self._rules.roots)
        self._parts.log.info("watch_begun", paths=roots, directories=self._tree.directories)
        self._tell(self._tree.problem)

    def _end(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer, self._tree, self._told = None, None, ""
        self._gathering = Gathering()
        if self._inotify:
            self._loop.remove_reader(self._inotify.fd)
            self._inotify.close()
            self._inotify = None

    def _on_readable(self) -> None:
        assert self._tree is not None
        changed = self._tree.read()
        self._tell(self._tree.problem)
        if changed:
            before_served = not self._parts.is_served()
            self._gathering.note(changed, time.monotonic(), before_served=before_served)
            if self._timer is None:
                self._wait_until(self._gathering.due_at(self._delay))

    def _wait_until(self, moment: float) -> None:
        self._timer = self._loop.call_later(max(moment - time.monotonic(), 0.0), self._on_time)

    def _on_time(self) -> None:
        due_at = self._gathering.due_at(self._delay)
        if due_at > time.monotonic():
            self._wait_until(due_at)
            return
        self._parts.log.info(
            "files_changed", count=len(self._gathering.paths), files=self._names(self._gathering.paths)
        )
        pause = self._guard.pause(self._gathering)
        if pause:
            self._parts.log.warning("watch_loop", files=self._names(self._gathering.paths), wait_s=pause, reason=LOOP)
        self._timer = self._loop.call_later(pause, self._ask)

    def _ask(self) -> None:
        """Ask for new workers; when that is refused, because too much waits, again later."""
        self._timer = None
        if self._parts.ask(OperationRequest(self._parts.operation, by=self.asker)):
            self._guard.note_asked(self._gathering.take(), time.monotonic())
        else:
            self._timer = self._loop.call_later(RETRY_SECONDS, self._ask)

    @property
    def _delay(self) -> float:
        return self._parts.config().watch_delay

    def _names(self, paths: set[str]) -> str:
        return names_of(paths, self._parts.config().cwd or os.getcwd())

    def _tell(self, problem: str) -> None:
        """Tell the user once that not everything is watched."""
        if problem and problem != self._told:
            self._parts.remark(f"watch: {problem}")
        self._told = problem


def names_of(paths: Iterable[str], directory: str) -> str:
    """Return the first few of the paths, from a directory where they lie below it; fit to be shown."""
    top = directory.rstrip("/") + "/"
    names = sorted(escape_line(path.removeprefix(top)) for path in paths)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
