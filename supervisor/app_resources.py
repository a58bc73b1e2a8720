"""Owns what the supervisor process hands to its app: what it has taken hold of outside itself."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from .home.paths import AppPaths
from .output.event_log import EventLog
from .output.terminal import TerminalOutput
from .service.manager import ServiceManager
from .sockets.listeners import BoundListener
from .succession.tenure import Tenure


@dataclass(frozen=True)
class AppResources:
    """What the process has taken hold of outside itself; all borrowed, but an App closes `listeners` when it stops.

    `terminal`: of a foreground app, else None. `worker_oom_score`: see processes/oom_score.py; None: as it is.
    `tenure`: whether we run the app, and what a successor gets.
    `service_manager`: who runs the process as a service, if anybody does.
    `origins` as in LaunchRequest. `adopts_orphans` as in Reaper. `environment`: of whoever started the app.
    `restarts_on_change`: a change of files restarts the workers, and an app without one waits for it (`run --reload`).
    """

    paths: AppPaths
    log: EventLog
    listeners: list[BoundListener]
    tenure: Tenure
    terminal: TerminalOutput | None = None
    worker_oom_score: int | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    adopts_orphans: bool = False
    service_manager: ServiceManager | None = None
    restarts_on_change: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def first_number(self) -> int:
        """The number of the app's first incarnation."""
        return self.tenure.first_number
