"""Owns starting several apps at the same time. Runs in the user's shell."""

import contextlib
from collections import deque
from collections.abc import Sequence

from ...supervisor.errors import FastlbError
from ...supervisor.launch.messages import StartedReport
from ...supervisor.launch.starter import LaunchedSupervisor, launch_detached
from ...supervisor.settings.cpus import usable_cpus
from ..apps import paths_of
from ..launching import follow_start, prepare_to_run
from ..output import Output, ProgressDisplay
from .elsewhere import back_again
from .requests import Wanted

FEWEST_AT_A_TIME = 2
Outcome = StartedReport | FastlbError


def start_all(wanted: Sequence[Wanted], *, wait: bool) -> dict[str, Outcome]:
    """Start the apps, show how it goes, and return for each name how it ended. `wait` as in FileOrder.

    """
    outcomes: dict[str, Outcome] = {}
    coming = deque(wanted)
    with contextlib.ExitStack() as stack:
        display = stack.enter_context(ProgressDisplay(Output.for_errors()))
        started: deque[tuple[str, LaunchedSupervisor]] = deque()
        while coming or started:
            while coming and len(started) < apps_at_a_time():
                one = coming.popleft()
                try:
                    started.append((one.config.name, stack.enter_context(_launched(one, wait))))
                except FastlbError as error:
                    outcomes[one.config.name] = error
            if started:
                name, supervisor = started.popleft()
                outcomes[name] = _followed(name, supervisor, display, names_app=len(wanted) > 1)
    return {one.config.name: outcomes[one.config.name] for one in wanted}


def apps_at_a_time() -> int:
    """Return how many apps are changed at a time: one for each CPU, as more would only make each other late."""
    return max(FEWEST_AT_A_TIME, usable_cpus())


def _followed(name: str, supervisor: LaunchedSupervisor, display: ProgressDisplay, *, names_app: bool) -> Outcome:
    try:
        return follow_start(name, supervisor, display, names_app=names_app)
    except FastlbError as error:
        return error


def _launched(one: Wanted, wait: bool) -> LaunchedSupervisor:
    with back_again():
        prepare_to_run(one.config)
        return launch_detached(one.config, paths_of(one.config.name), wait=wait, origins=one.setting_origins)
