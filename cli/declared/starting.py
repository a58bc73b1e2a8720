"""Owns starting several apps at the same time. Runs in the user's shell."""

import contextlib
from collections.abc import Sequence

from ...supervisor.errors import FastlbError
from ...supervisor.launch.messages import StartedReport
from ...supervisor.launch.starter import LaunchedSupervisor, launch_detached
from ..apps import paths_of
from ..launching import follow_start, prepare_to_run
from ..output import Output, ProgressDisplay
from .elsewhere import back_again
from .requests import Wanted

Outcome = StartedReport | FastlbError


def start_all(wanted: Sequence[Wanted], *, wait: bool) -> dict[str, Outcome]:
    """Start the apps, show how it goes, and return for each name how it ended.

    All supervisors are started before one is waited for. `wait` as in FileOrder.
    """
    outcomes: dict[str, Outcome] = {}
    with contextlib.ExitStack() as stack:
        started: dict[str, LaunchedSupervisor] = {}
        for one in wanted:
            try:
                started[one.config.name] = stack.enter_context(_launched(one, wait))
            except FastlbError as error:
                outcomes[one.config.name] = error
        display = stack.enter_context(ProgressDisplay(Output.for_errors()))
        for name, supervisor in started.items():
            try:
                outcomes[name] = follow_start(name, supervisor, display, names_app=len(wanted) > 1)
            except FastlbError as error:
                outcomes[name] = error
    return {one.config.name: outcomes[one.config.name] for one in wanted}


def _launched(one: Wanted, wait: bool) -> LaunchedSupervisor:
    with back_again():
        prepare_to_run(one.config)
        return launch_detached(one.config, paths_of(one.config.name), wait=wait, origins=one.origins)
