"""Owns seeing when the list is another one than it was. Runs in the user's shell.

Every app that runs tells its events on a connection of its own, in a thread; figures, and apps that are new, are looked
at every two seconds. The threads are daemons: ^C ends the command at once.
"""

import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from ..supervisor.control.client import LineNote
from ..supervisor.control.protocol import AppEntry, LogsParams
from ..supervisor.errors import FastlbError
from .apps import ANSWER_SECONDS, connected

# Seconds: figures move all the time, and are looked at so often.
FIGURES_INTERVAL = 2.0
# What happens within so long of an event is shown together.
GATHERING = 0.2


class ListWatch:
    """Waits for changes of the apps that the list shows."""

    def __init__(self) -> None:
        # msgspec builds what it knows of a type when that is first used, which two threads must not do at once.
        msgspec.json.Decoder(LineNote)
        self._changed = threading.Event()
        self._followed: set[str] = set()

    def wait(self, running: Sequence[str]) -> None:
        """Return when something has happened to one of the apps that run, and after FIGURES_INTERVAL at the latest."""
        for name in set(running) - self._followed:
            self._followed.add(name)
            threading.Thread(target=self._follow, args=(name,), daemon=True).start()
        if self._changed.wait(FIGURES_INTERVAL):
            time.sleep(GATHERING)
            self._changed.clear()

    def _follow(self, name: str) -> None:
        """Note every event of an app until it ends, or cannot be followed: then its figures tell."""
        with contextlib.suppress(FastlbError, OSError), connected(name, ANSWER_SECONDS) as client:
            for _ in client.stream_lines(LogsParams("none", ["event"])):
                self._changed.set()
        self._changed.set()
        time.sleep(FIGURES_INTERVAL)  # before it is tried again
        self._followed.discard(name)


def gist_of(entries: Sequence[AppEntry]) -> list[Any]:
    """Return what is said of apps without what moves by itself: uptimes, CPU, memory, connections, requests."""
    return [
        (
            entry.name,
            entry.status,
            entry.pid,
            entry.target_workers,
            [(one.operation, one.by, one.state) for one in entry.operations],
            entry.autoscaling and (entry.autoscaling.mode, entry.autoscaling.last_decision),
            [(one.name, one.began_at) for one in entry.alerts],
            [(one.id, one.pid, one.status, one.generation, one.restarts) for one in entry.workers],
        )
        for entry in entries
    ]
