"""Owns what waits to be sent to each open page, in bounded memory. Runs in the user's shell.

A page that is slower than what happens gets the newest figures, and is told how many lines it has missed.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

MAX_FEEDS = 16
MAX_WAITING_EVENTS = 200
MAX_WAITING_LINES = 500
MAX_LINE_CHARACTERS = 4096

_encode = msgspec.json.Encoder().encode


def message(name: str, data: bytes) -> bytes:
    """Return one message as server-sent events have it (html.spec.whatwg.org); `data`: JSON, which is one line."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


class Feed:
    """What waits for one page. To be made in its event loop; `add_lines` may be called by any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._lock = threading.Lock()
        self._state = b""
        self._events: deque[Any] = deque(maxlen=MAX_WAITING_EVENTS)
        self._lines: deque[Any] = deque()
        self._missed_lines = 0
        self._log_end = ""
        self._is_closed = False
        self._on_close: Callable[[], None] | None = None

    def put_state(self, state: bytes) -> None:
        """Replace the state that waits."""
        self._state = state
        self._wake.set()

    def put_events(self, events: Sequence[Any]) -> None:
        """Add events, the newest last."""
        self._events.extend(events)
        self._wake.set()

    def add_lines(self, lines: Sequence[Any], ended: str = "") -> None:
        """Add lines of a log. `ended`: why nothing will come any more; empty: something may. Any thread."""
        with self._lock:
            is_idle = not self._lines and not self._log_end
            self._lines.extend(lines)
            self._log_end = self._log_end or ended
            while len(self._lines) > MAX_WAITING_LINES:
                self._lines.popleft()
                self._missed_lines += 1
        if is_idle and not self._is_closed:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._wake.set)

    async def next(self) -> bytes:
        """Return what there is to send; wait until there is something. Empty: the feed is closed."""
        while not self._is_closed:
            if found := self._take():
                return found
            self._wake.clear()
            await self._wake.wait()
        return b""

    def at_close(self, call: Callable[[], None]) -> None:
        """Have `call` done when the feed is closed, or now if it is. Any thread."""
        with self._lock:
            if not self._is_closed:
                self._on_close = call
                return
        call()

    def close(self) -> None:
        """Nothing is to be sent any more. May be called twice."""
        with self._lock:
            self._is_closed = True
            on_close, self._on_close = self._on_close, None
        self._wake.set()
        if on_close:
            on_close()

    def _take(self) -> bytes:
        state, self._state = self._state, b""
        events = list(self._events)
        self._events.clear()
        with self._lock:
            lines, missed, ended = list(self._lines), self._missed_lines, self._log_end
            self._lines.clear()
            self._missed_lines, self._log_end = 0, ""
        parts = [state and message("state", state), events and message("events", _encode(events))]
        if lines or ended:
            parts.append(message("log", _encode({"lines": lines, "missed": missed, "ended": ended})))
        return b"".join(part for part in parts if part)
