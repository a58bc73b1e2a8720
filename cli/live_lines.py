"""Owns how what several apps write, and have written, becomes one stream in order of time. Runs in the user's shell.

Threads, one an app, bring lines; one more shows them.
"""

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Generic, TypeVar

from ..supervisor.output import wall_clock
from .log_view.live_order import LiveOrder

Line = TypeVar("Line")
Part = TypeVar("Part")


class LiveLines(Generic[Line]):
    """Shows lines in order of time, each a moment after it came.

    Args:
        show: shows some lines; called by one thread at a time.
    """

    def __init__(self, show: Callable[[list[Line]], None]) -> None:
        self._show = show
        self._order: LiveOrder[Line] = LiveOrder()
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="live lines", daemon=True)
        self._thread.start()

    def add(self, line: Line, at: float | None) -> None:
        """Take a line that was written `at`, seconds since the epoch; None: it is not known. Any thread.

        Raises:
            Whatever showing has raised: a reader that went away.
        """
        with self._changed:
            if self._failure:
                raise self._failure
            self._order.add(line, wall_clock.now() if at is None else at, monotonic())
            self._changed.notify()

    def close(self) -> None:
        """Show what waits; nothing comes any more. Raises as `add`."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join()
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        try:
            while lines := self._next_lines():
                self._show(lines)
        except BaseException as error:  # noqa: BLE001 - it is raised by whoever adds the next line
            self._failure = error

    def _next_lines(self) -> list[Line]:
        """Wait for lines that are due; return none at the end."""
        with self._changed:
            while not self._is_ending:
                if lines := self._order.due(monotonic()):
                    return lines
                due = self._order.next_due()
                self._changed.wait(None if due is None else max(0.0, due - monotonic()))
            return self._order.rest()


class Meeting(Generic[Part]):
    """Joins what several threads bring, so that it is done at once; one that does not come is not waited for for ever.

    Args:
        count: of the threads.
        do: is called with all parts, by one of them, while the others wait.
        patience: seconds.
    """

    def __init__(self, count: int, do: Callable[[list[Part]], None], patience: float) -> None:
        self._missing = count
        self._do = do
        self._patience = patience
        self._parts: list[Part] = []
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def come(self, parts: Sequence[Part]) -> None:
        """Bring some parts, and wait until they are done with. Each thread comes once."""
        with self._lock:
            self._missing -= 1
            self._parts += parts
            if self._missing <= 0 or self._is_over.is_set():
                self._finish()
        if not self._is_over.wait(self._patience):
            with self._lock:
                self._finish()

    def stay_away(self) -> None:
        """Tell that one thread brings nothing. Does not wait."""
        with self._lock:
            self._missing -= 1
            if self._missing <= 0:
                self._finish()

    def _finish(self) -> None:
        parts, self._parts = self._parts, []
        try:
            if parts:
                self._do(parts)
        finally:
            self._is_over.set()
