"""Owns when workers that were given up are tried again by themselves: the setting `errored_retry`.

Runs in the supervisor process. It asks for nothing and starts nothing by itself: the app asks it, and lets it work when
its turn has come.
"""

import time
from collections.abc import Callable

from .settings.app_config import AppConfig
from .workers.crew import Crew
from .workers.handle import WorkerHandle
from .workers.life import State
from .workers.reload import ReloadRules, reload_workers
from .workers.roster import given_up_ids, missing_ids, staying


class ErroredRetry:
    """Remembers since when each worker is down.

    Args:
        config: returns the settings; without `errored_retry`, or with autorestart off, nothing is ever due.
        crew: borrowed.
    """

    def __init__(self, config: Callable[[], AppConfig], crew: Crew) -> None:
        self._config = config
        self._crew = crew
        self._down_since: dict[int, float] = {}

    @property
    def _period(self) -> float:
        config = self._config()
        return config.errored_retry if config.autorestart else 0.0

    def is_due(self) -> bool:
        """Look who is down; return whether somebody has been for long enough."""
        if not self._period:
            return False
        now, members = time.monotonic(), self._crew.members
        down = {*given_up_ids(members), *missing_ids(members, self._crew.target_workers, self._crew.held)}
        self._down_since = {worker_id: self._down_since.get(worker_id, now) for worker_id in down}
        return any(self._is_over(worker_id, now) for worker_id in down)

    async def replace_errored(self, settle: float) -> str:
        """Put a new worker in the place of each that was given up long enough ago. Returns a sentence.

        New-first for every kind, as there is no old process. Those that are missing are for others to start.

        Raises:
            StartFailed: one did not start; it stays given up, until the time has passed again.
        """
        now = time.monotonic()
        due = [worker for worker in self._errored() if self._is_over(worker.worker_id, now)]
        self._down_since = {}
        if due:
            await reload_workers(due, self._crew, ReloadRules(settle, 0.0, 1), lambda replaced: None)
        return f"tried {len(due)} worker{'s' if len(due) != 1 else ''} again"

    def _errored(self) -> list[WorkerHandle]:
        return [worker for worker in staying(self._crew.members) if worker.life.state is State.ERRORED]

    def _is_over(self, worker_id: int, now: float) -> bool:
        return now - self._down_since.get(worker_id, now) >= self._period
