"""Owns looking at all apps of this home, again and again, and telling open pages. Runs in the user's shell.

Every app is asked once in INTERVAL_SECONDS, however many pages are open. It changes nothing.
"""

import asyncio
import sys
import traceback
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Any

import msgspec

from ...supervisor.errors import FastlbError
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.output.event_record import Event
from ...supervisor.safe_text import escape_line
from ..apps import AppState
from ..commands.events import Readers
from ..event_reader import last_events
from ..event_text import describe_event
from ..metrics.reading import read_metrics
from .daemon_threads import in_thread
from .feeds import MAX_FEEDS, Feed
from .history import STEP_SECONDS, Histories
from .points import METERS, Meters, point_of
from .view import view_of

INTERVAL_SECONDS = STEP_SECONDS / METERS
KEPT_EVENTS = 300


class Watch:
    """What is known of all apps. `about`: what the page is told besides."""

    def __init__(self, about: dict[str, Any]) -> None:
        self._about = about
        self._meters: dict[str, Meters] = {}
        self._turn = 0
        self._failure = ""
        self._readers = Readers(())
        self._feeds: set[Feed] = set()
        self.histories = Histories()
        self.events: deque[dict[str, Any]] = deque(maxlen=KEPT_EVENTS)
        self.state = msgspec.json.encode({**about, "step": 0, "problem": "", "apps": []})
        self.names: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look, and look again, until it is cancelled."""
        while True:
            begun = monotonic()
            try:
                await self.look()
                self._failure = ""
            except Exception as error:  # noqa: BLE001 - the next look may find better times
                self._fail(f"{type(error).__name__}: {error}")
            await asyncio.sleep(max(0.0, begun + INTERVAL_SECONDS - monotonic()))

    async def look(self) -> None:
        """Look at all apps once, and tell all pages."""
        problem = ""
        states: Sequence[AppState] = []
        events: Sequence[Event] = []
        try:
            states, events = await in_thread(self._read)
        except (FastlbError, OSError) as error:
            problem = escape_line(getattr(error, "message", str(error)))
        self._note(states, problem)
        told = [_event_view(event) for event in events]
        self.events.extend(told)
        self._tell(told)

    def _fail(self, failure: str) -> None:
        """Say once why looking fails, here and on all pages."""
        if failure != self._failure:
            sys.stderr.write(f"console: looking at the apps has failed, and goes on:\n{traceback.format_exc()}")
            sys.stderr.flush()
        self._failure = failure
        self._note((), escape_line(f"looking at the apps fails: {failure}"))
        self._tell(())

    def _tell(self, events: Sequence[dict[str, Any]]) -> None:
        for feed in self._feeds:
            feed.put_state(self.state)
            if events:
                feed.put_events(list(events))

    def open_feed(self) -> Feed | None:
        """Return a feed that begins with all that is known now; None: too many pages are open."""
        if len(self._feeds) >= MAX_FEEDS:
            return None
        feed = Feed()
        feed.put_state(self.state)
        feed.put_events(list(self.events))
        self._feeds.add(feed)
        return feed

    def close_feed(self, feed: Feed) -> None:
        """Take a feed back. May be called twice."""
        self._feeds.discard(feed)
        feed.close()

    def close(self) -> None:
        """Close all feeds."""
        for feed in list(self._feeds):
            self.close_feed(feed)

    def _read(self) -> tuple[list[AppState], list[Event]]:
        """In a thread: all that there is to be read."""
        names = list_apps(default_home())
        states = read_metrics(names) if names else []
        events = self._readers.new_events() if self.events else last_events(self._readers.present(), KEPT_EVENTS)
        return states, events

    def _note(self, states: Sequence[AppState], problem: str) -> None:
        now = monotonic()
        self._meters = {state.entry.name: self._meters.get(state.entry.name) or Meters() for state in states}
        views = []
        points = {}
        for state in states:
            name = state.entry.name
            rates = self._meters[name].look(state.entry, self._turn, now)
            points[name] = point_of(state.entry, rates)
            views.append(view_of(state, points[name], rates))
        if self._turn % METERS == 0:
            self.histories.append(points)
        self.names = frozenset(points)
        step = self._turn // METERS
        self.state = msgspec.json.encode({**self._about, "step": step, "problem": problem, "apps": views})
        self._turn += 1


def _event_view(event: Event) -> dict[str, Any]:
    _, text = describe_event(event, has_app=False)
    return {"time": event.time, "level": event.level, "event": event.event, "app": event.app, "text": text.strip()}
