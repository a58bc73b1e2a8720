"""Owns bringing the metrics of an app's own into its answer (`metrics_app`). Runs in the supervisor process.

Most workers are not asked: their files are read. Others are asked by message, all at a time, and one that does not
answer soon is left out. What was found is made into families in a thread, one answer after the other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from ..control.protocol import AppMetrics
from ..home.paths import AppPaths
from ..kinds import traits_of
from ..output.event_log import EventLog
from ..settings.app_config import AppConfig
from .directories import known_directories, leave_nothing_outside
from .families import OwnFamilies, of_prom_client
from .files import CountingFiles

ASK_NODE = "fastlb:metrics"  # an action of target/actions.cjs
NODE_SECONDS = 1.0

# Asks all workers for an action, and returns the texts of those that have done it, by their numbers.
AskWorkers = Callable[[str, float], Awaitable[dict[int, str]]]


class OwnMetrics:
    """Reads what an app counts itself. Make it on the event loop.

    Args:
        config: returns the settings of the newest generation.
        paths: of the app.
        ask: asks its workers.
        log: is told of what is missing, once.
    """

    def __init__(self, config: Callable[[], AppConfig], paths: AppPaths, ask: AskWorkers, log: EventLog) -> None:
        self._config = config
        self._paths = paths
        self._ask = ask
        self._log = log
        self._turn = asyncio.Lock()
        self._told: list[str] = []

    async def add_to(self, metrics: AppMetrics) -> AppMetrics:
        """Put into an answer what the app counts itself, if its settings say so; return it."""
        config = self._config()
        if config.metrics_app:
            async with self._turn:
                if traits_of(config).tells_own_metrics:
                    texts = await self._ask(ASK_NODE, NODE_SECONDS)
                    found = await asyncio.to_thread(_said, texts)
                else:
                    found, missing = await asyncio.to_thread(self._read)
                    self._tell(missing)
            metrics.own, metrics.own_left_out = [*found.families.values()], found.left_out
        return metrics

    def close(self) -> None:
        """Leave nothing outside of the app's directory; no worker lives any more."""
        leave_nothing_outside(known_directories(self._paths), self._paths.app_dir)

    def _read(self) -> tuple[OwnFamilies, list[str]]:
        found = OwnFamilies()
        try:
            families, missing = CountingFiles.of(self._paths).read()
        except OSError as error:
            return found, [f"{error.filename}: {error.strerror}"]
        for family in families:
            found.add(family)
        return found, missing

    def _tell(self, missing: list[str]) -> None:
        for reason in missing:
            if reason not in self._told:
                self._log.warning("own_metrics_missing", reason=reason)
        self._told = missing


def _said(texts: Mapping[int, str]) -> OwnFamilies:
    """Return what Node workers have said, by their numbers."""
    found = OwnFamilies()
    for worker, text in sorted(texts.items()):
        for family in of_prom_client(text, worker):
            found.add(family)
    return found
