"""Owns what the workers of a running app leave behind: when it is looked for, and what the log says of it.

Runs in the supervisor process.
"""

import asyncio

from ..output.event_log import EventLog
from ..processes.reaper import Reaper
from ..processes.tree import process_tree
from ..settings.app_config import AppConfig
from .ending import end_carriers, end_left_over
from .search import all_pids
from .token import RunTokens

MOST_NAMED = 20


class Strays:
    """What the workers of a running app have left behind.

    Args:
        tokens: of this run; the host gives them to its processes.
        reaper: borrowed: it knows which children of ours nobody watches, where orphans become our children.
        log: borrowed.
    """

    def __init__(self, tokens: RunTokens, reaper: Reaper, log: EventLog) -> None:
        self.tokens = tokens
        self._reaper = reaper
        self._log = log
        self._task: asyncio.Task[None] | None = None

    async def end_of(self, number: int, worker_id: int) -> None:
        """Kill what incarnation `number`, whose process and group have ended, has left behind; return when it is gone.

        Raises nothing: a worker's end must not wait for ever for what cannot be killed.
        """
        ended = await end_carriers(self._candidates, lambda value: self.tokens.is_of(value, number))
        if ended:
            self._log.warning("strays_killed", worker_id=worker_id, pids=named(ended))

    async def end_left_over(self, config: AppConfig, *, is_in_the_way: bool) -> None:
        """End what a supervisor of this app has left behind that was killed.

        What `is_in_the_way` of new workers is asked to end, and waited for. Otherwise its workers know that they are to
        finish: what they have left runs on meanwhile, and is killed after `kill_timeout` in the background.
        """
        if is_in_the_way:
            await self._end_left_over(config.kill_signal, config.kill_timeout)
        else:
            self._task = asyncio.create_task(self._end_left_over(None, config.kill_timeout))

    def close(self) -> None:
        """Give up what goes on in the background."""
        if self._task:
            self._task.cancel()

    async def _end_left_over(self, signal_name: str | None, patience: float) -> None:
        ended = await end_left_over(self.tokens, signal_name, patience)
        if ended:
            self._log.warning("left_over_ended", pids=named(ended))

    def _candidates(self) -> list[int]:
        """Return the processes that have lost their parent, and all below them.

        What hangs below a worker that lives is its own, or has not lost it.
        """
        if not self._reaper.adopts_orphans:
            return all_pids()
        return [pid for orphan in self._reaper.unwatched_children() for pid in process_tree(orphan)]


def named(pids: list[int]) -> str:
    """Return process ids for the log, not more than one wants to read."""
    more = f" and {len(pids) - MOST_NAMED} more" if len(pids) > MOST_NAMED else ""
    return ",".join(map(str, pids[:MOST_NAMED])) + more
