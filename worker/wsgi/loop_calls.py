"""Owns the way from any thread of a WSGI worker to the event loop's: what is to be called there, in order.

Runs in WSGI workers. Never waits.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
logger = logging.getLogger("fastlb.worker")


class LoopCalls:
    """Calls things in `loop`'s thread. However many are posted before the loop turns, it is woken once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[tuple[Callable[[object], object], object]] = deque()
        self._told = False

    def post(self, callback: Callable[[T], object], argument: T) -> None:
        """Call `callback(argument)` in the event loop's thread, in the order of the posts. Any thread."""
        self._calls.append((callback, argument))  # type: ignore[arg-type]  # one T a pair
        if not self._told:
            self._told = True
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                return  # the loop is closed: the worker has given up waiting and exits

    def _deliver(self) -> None:
        # Cleared first: a post that finds it set is in the deque already, and this turn takes it.
        self._told = False
        calls = self._calls
        while calls:
            callback, argument = calls.popleft()
            try:
                callback(argument)
            except Exception:  # what others have posted is not to wait for it
                logger.exception("a connection could not go on")
