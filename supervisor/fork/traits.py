"""Owns what is particular to workers that are any program, each on its own. Any process; light: a shell imports it."""

import os

from ..settings.app_config import AppConfig
from ..settings.traits import WorkerTraits


def _check(config: AppConfig) -> None:
    from ..processes.environment import app_environment
    from .target.command import program_command

    program_command(config, app_environment(config, os.environ).variables)


FORK_TRAITS = WorkerTraits(
    kind="fork",
    title="fork-mode",
    runtime="fastlb.supervisor.fork.runtime:ForkRuntime",
    check=_check,
    mode="fork",
    needs_dispatcher=False,
    replacing="old-first",  # both would bind the same port
    is_ready_by_living=True,
    works_before_ready=True,
    # Nobody hands its processes connections, and nobody sees into them.
    without_meaning=("balance", "credit", "max_connections", "handover_timeout", "hang_timeout"),
    not_said="did not write \"ready\" to its channel (descriptor NODE_CHANNEL_FD; in Node process.send('ready'))",
    abort_signal="SIGTERM",
)
