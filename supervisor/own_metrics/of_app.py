"""Owns bringing the metrics of an app's own into its answer (`metrics_app`). Runs in the supervisor process.

Most workers are not asked: their files are read, in a thread. Others are asked by message, all at a time, and one that
does not answer soon is left out.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..control.protocol import AppMetrics
from ..errors import FastlbError
from ..home.paths import AppPaths
from ..kinds import traits_of
from ..settings.app_config import AppConfig
from .families import OwnFamilies, of_prom_client, of_prometheus_client
from .files import CountingFiles

if TYPE_CHECKING:
    from prometheus_client import Metric

ASK_NODE = "fastlb:metrics"  # an action of target/actions.cjs
NODE_SECONDS = 1.0

# Asks all workers for an action, and returns the texts of those that have done it, by their numbers.
AskWorkers = Callable[[str, float], Awaitable[dict[int, str]]]


class OwnMetrics:
    """Reads what an app counts itself.

    Args:
        config: returns the settings of the newest generation.
        paths: of the app.
        ask: asks its workers.
    """

    def __init__(self, config: Callable[[], AppConfig], paths: AppPaths, ask: AskWorkers) -> None:
        self._config = config
        self._paths = paths
        self._ask = ask

    async def add_to(self, metrics: AppMetrics) -> AppMetrics:
        """Put into an answer what the app counts itself, if its settings say so; return it."""
        config = self._config()
        if config.metrics_app:
            found = OwnFamilies()
            if traits_of(config).tells_own_metrics:
                for worker, text in sorted((await self._ask(ASK_NODE, NODE_SECONDS)).items()):
                    for family in of_prom_client(text, worker):
                        found.add(family)
            else:
                for family in of_prometheus_client(await asyncio.to_thread(self._read, config)):
                    found.add(family)
            metrics.own, metrics.own_left_out = [*found.families.values()], found.left_out
        return metrics

    def close(self) -> None:
        """Leave nothing outside of the app's directory; no worker lives any more."""
        if self._config().metrics_app:
            with contextlib.suppress(OSError, FastlbError):  # its user may be gone meanwhile
                CountingFiles.of(self._config(), self._paths).leave_nothing_outside(self._paths.app_dir)

    def _read(self, config: AppConfig) -> list["Metric"]:
        return CountingFiles.of(config, self._paths).read()
