"""Owns what is done to the lines of one standard stream before they are formatted: sorted, gathered, or nothing.

Runs in the supervisor process, on its loop.
"""

from collections.abc import Callable
from typing import Protocol

from ...worker.access_log.mark import AccessSorter

PassOn = Callable[[bytes], None]


class Stage(Protocol):
    """What takes the lines of a stream and passes them on."""

    def take(self, lines: bytes) -> None:
        """Take whole lines."""

    def end(self) -> None:
        """Pass on what waits: the stream is at its end."""


class PassedOn:
    """Lines as they come."""

    def __init__(self, pass_on: PassOn) -> None:
        self.take = pass_on

    def end(self) -> None:
        """Do nothing: nothing waits."""


class SortedOutput:
    """A standard output in which lines of the access log stand, which go elsewhere."""

    def __init__(self, others: Stage, pass_on_access: PassOn) -> None:
        self._others = others
        self._pass_on_access = pass_on_access
        self._sorter = AccessSorter()

    def take(self, lines: bytes) -> None:
        """Take whole lines of either kind."""
        others, access = self._sorter.sort(lines)
        if others:
            self._others.take(others)
        if access:
            self._pass_on_access(access)

    def end(self) -> None:
        """Pass on what waits."""
        rest = self._sorter.end()
        if rest:
            self._others.take(rest)
        self._others.end()
