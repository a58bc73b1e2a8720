"""Owns the functions that an app wants called when the process of another worker has ended.

Runs in workers: registered by the app in any thread, called one after another in a thread of their own. Knows nothing
of how the news come.
"""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

ExitHook = Callable[[int], object]

logger = logging.getLogger("fastlb.worker")


class ExitHooks:
    """The hooks of this process."""

    def __init__(self) -> None:
        self._hooks: list[ExitHook] = []
        self._news: SimpleQueue[tuple[int, ExitHook]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def add(self, hook: ExitHook) -> None:
        """Call `hook(pid)` at every end from now on."""
        self._hooks.append(hook)

    def announce(self, pid: int, on_done: ExitHook) -> None:
        """Have all hooks called with `pid`, then `on_done`. Event loop's thread; never waits."""
        if not self._hooks:
            on_done(pid)
            return
        self._news.put((pid, on_done))
        if self._thread is None:
            # A daemon: a hook that never ends must not prevent the worker's exit.
            self._thread = threading.Thread(target=self._work, name="exit-hooks", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            pid, on_done = self._news.get()
            for hook in tuple(self._hooks):
                try:
                    hook(pid)
                except Exception:
                    logger.exception("a hook for the exit of a worker failed (pid %d)", pid)
            on_done(pid)


hooks_of_this_process = ExitHooks()
