"""Owns what is done to some of an app's workers, while the others go on: stopped, started, replaced, removed.

Runs in the supervisor process. A worker that was stopped keeps its place: it is no missing one, until it is started
again, or the whole app is restarted. It touches no process itself: it says what to do to a crew.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from ..control.protocol import WorkersAction
from ..errors import StartFailed, UsageError
from .crew import Crew
from .handle import WorkerHandle
from .life import AT_REST
from .reload import ReloadRules, reload_workers
from .roster import established, staying

# What a person who waits is told.
PAST = {"stop": "stopped", "start": "started", "restart": "restarted", "reload": "reloaded", "delete": "removed"}


class ChosenWorkers:
    """Does something to workers that are chosen by their numbers.

    Args:
        crew: the workers; borrowed.
        rules: how a replacement goes.
        start_missing: starts the workers that there are to be and are not.
    """

    def __init__(
        self, crew: Crew, rules: Callable[[], ReloadRules], start_missing: Callable[[], Awaitable[None]]
    ) -> None:
        self._crew = crew
        self._rules = rules
        self._start_missing = start_missing

    async def carry_out(self, action: WorkersAction, worker_ids: Sequence[int]) -> str:
        """Do `action` to the workers of these numbers. Returns a sentence.

        Raises:
            StartFailed: one did not start; says what runs now.
            UsageError: there is no such worker, or none would be left.
        """
        ids = set(worker_ids)
        self._check(action, ids)
        match action:
            case "stop":
                await self._stop(ids)
            case "start":
                await self._start(ids)
            case "restart":
                await self._restart(ids)
            case "reload":
                await self._reload(ids)
            case "delete":
                await self._remove(ids)
        return f"{PAST[action]} worker {', '.join(map(str, sorted(ids)))}"

    def _check(self, action: WorkersAction, ids: set[int]) -> None:
        there = {member.worker_id for member in staying(self._crew.members)} | self._crew.held
        if unknown := sorted(ids - there):
            raise UsageError(f"there is no worker {unknown[0]}: `fastlb show` tells which there are")
        if action in ("stop", "delete") and not there - self._crew.held - ids:
            raise UsageError("no other worker runs: stop the whole app instead, by its name")

    async def _stop(self, ids: set[int]) -> None:
        self._crew.held |= ids
        await self._crew.drain_until_gone(self._members(ids))

    async def _start(self, ids: set[int]) -> None:
        held = ids & self._crew.held
        self._crew.held -= held
        try:
            await self._start_missing()
        except StartFailed:
            self._crew.held |= held
            raise
        # Those that were given up, or have finished, are not missing: they have their places.
        resting = [member for member in self._members(ids) if member.life.state in AT_REST]
        if resting:
            # Nobody is in its way, and one that fails keeps its place.
            rules = replace(self._rules(), replacing="new-first")
            await reload_workers(resting, self._crew, rules, lambda replaced: None)

    async def _restart(self, ids: set[int]) -> None:
        self._crew.held |= ids  # nobody else starts them meanwhile
        await self._crew.drain_until_gone(self._members(ids))
        await self._start(ids)

    async def _reload(self, ids: set[int]) -> None:
        old = [member for member in established(self._crew.members) if member.worker_id in ids]
        if old:
            await reload_workers(old, self._crew, self._rules(), lambda replaced: None)
        await self._start(ids)

    async def _remove(self, ids: set[int]) -> None:
        self._crew.target_workers -= len(ids)
        self._crew.held -= ids
        await asyncio.gather(*(self._crew.drain_until_out(member) for member in self._members(ids)))

    def _members(self, ids: set[int]) -> list[WorkerHandle]:
        return [member for member in self._crew.members if member.worker_id in ids]
