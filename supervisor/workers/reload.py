"""Owns the reload: a new generation takes the place of the old one, worker by worker, or nothing changes.

Runs in the supervisor process. Everything that can happen while it runs:

    the first replacement fails, or dies    nothing has changed, StartFailed
      within settle
    a later replacement fails               it stops there, StartFailed: old ones that remain and new ones
                                            that are ready go on
    the old worker does not finish          the reload has moved on: its own deadlines end it
    the old worker dies meanwhile           nothing is left to drain
    the app is stopped                      cancelled: replacements not yet admitted go, too

Where two workers of the same id cannot run at the same time (`replacing` is "old-first") each old one is gone before
its replacement is started; one whose replacement fails is missing then.

It touches no process itself: it says what to do to a crew.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..errors import StartFailed
from ..settings.traits import Replacing

W = TypeVar("W")


class ReloadingCrew(Protocol[W]):
    """Who carries out a reload, step by step."""

    async def start_replacement(self, old: W) -> W:
        """Start a worker with the id of `old`, return it when it is ready. Raises StartFailed."""

    async def watch_settle(self, new: W, seconds: float) -> None:
        """Return when `new` has lived for so long. Raises StartFailed when it dies before."""

    async def admit(self, new: W) -> None:
        """Let a worker have connections. Raises StartFailed when it has died meanwhile."""

    async def drain_until_out(self, old: W) -> None:
        """Drain a worker; return when it is out of the policy."""

    async def drain_until_gone(self, workers: Iterable[W]) -> None:
        """Drain workers; return when their processes have ended."""

    def drain_in_background(self, new: W) -> None:
        """Drain a worker that was not admitted; do not wait."""


@dataclass(frozen=True)
class ReloadRules:
    """How a reload goes: settings, by their names in AppConfig without the prefix, and `replacing` of the kind."""

    settle: float
    delay: float
    parallel: int
    replacing: Replacing = "new-first"


async def reload_workers(
    old: Sequence[W], crew: ReloadingCrew[W], rules: ReloadRules, on_replaced: Callable[[int], None]
) -> None:
    """Replace the workers `old`, in this order; `on_replaced` is told how many are.

    Raises:
        StartFailed: says how far it came and why it stopped; `details` has the traceback.
    """
    replaced = 0
    replace_one = _replace_old_first if rules.replacing == "old-first" else _replace_new_first

    async def replace(worker: W, settle: float) -> None:
        nonlocal replaced
        await replace_one(worker, crew, settle)
        replaced += 1
        on_replaced(replaced)

    try:
        # Alone: while it proves itself, the others are all there.
        await replace(old[0], rules.settle)
        for start in range(1, len(old), rules.parallel):
            await asyncio.sleep(rules.delay)
            await _all_of([replace(worker, 0.0) for worker in old[start : start + rules.parallel]])
    except StartFailed as error:
        raise error.after(_outcome(replaced, len(old), rules.replacing)) from error


async def _replace_new_first(old: W, crew: ReloadingCrew[W], settle: float) -> None:
    await _bring_up(old, crew, settle)
    await crew.drain_until_out(old)


async def _replace_old_first(old: W, crew: ReloadingCrew[W], settle: float) -> None:
    await crew.drain_until_gone([old])
    await _bring_up(old, crew, settle)


async def _bring_up(old: W, crew: ReloadingCrew[W], settle: float) -> None:
    new = await crew.start_replacement(old)
    try:
        if settle > 0:
            await crew.watch_settle(new, settle)
        await crew.admit(new)
    except BaseException:
        crew.drain_in_background(new)
        raise


async def _all_of(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Let each work come to its own end, then raise the first failure: one that fails does not stop the others."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _outcome(replaced: int, total: int, replacing: Replacing) -> str:
    if replacing == "old-first":
        return f"{replaced} of {total} workers were replaced, and the last one had to go before it failed"
    if replaced == 0:
        return "nothing was changed, the old workers go on"
    return f"{replaced} of {total} workers were replaced, the other old ones go on"
