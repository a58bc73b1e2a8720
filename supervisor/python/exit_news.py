"""Owns which processes of workers have ended without any other worker having been told. Pure but for what it has said.

Runs in the supervisor process. The app's code runs in workers only, so the hooks that it has for the end of one run in
another: one that serves is told, and tells when its hooks are through. What a worker was told and has not handled when
it ends itself is told to the next.
"""

from collections import deque
from typing import Protocol

# News that wait for a worker; the oldest are forgotten first. And those that one may have without having handled them.
MOST_UNTOLD = 1024
MOST_UNHANDLED = 128


class Listener(Protocol):
    """A process of a worker, as a link knows it."""

    @property
    def pid(self) -> int:
        """Of the process."""

    @property
    def rank(self) -> int:
        """Which generation it is of; 0: it is to end, or has not begun, and is told nothing."""

    def say_exited(self, pid: int) -> None:
        """Tell it that the process `pid` of another worker has ended."""


class ExitNews:
    """Tells each end of a process to one other."""

    def __init__(self) -> None:
        self._untold: deque[int] = deque(maxlen=MOST_UNTOLD)
        self._unhandled: dict[Listener, list[int]] = {}

    def begin(self, listener: Listener) -> None:
        """Take a process that serves from now on: it can be told."""
        self._unhandled.setdefault(listener, [])
        self._tell()

    def handled(self, listener: Listener, pid: int) -> None:
        """Note that the hooks are through."""
        told = self._unhandled.get(listener, [])
        if pid in told:
            told.remove(pid)
        self._tell()

    def end(self, listener: Listener) -> None:
        """Note the end of a process, whether it ever served or not."""
        self._untold.extend([*self._unhandled.pop(listener, []), listener.pid])
        self._tell()

    def _tell(self) -> None:
        while self._untold and (listener := self._choose()):
            pid = self._untold.popleft()
            # The number may be another worker's by now.
            if all(living.pid != pid for living in self._unhandled):
                self._unhandled[listener].append(pid)
                listener.say_exited(pid)

    def _choose(self) -> Listener | None:
        able = [one for one, told in self._unhandled.items() if one.rank and len(told) < MOST_UNHANDLED]
        return max(able, key=lambda one: one.rank, default=None)
