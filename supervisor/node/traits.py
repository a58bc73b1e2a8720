"""Owns what is particular to workers that are Node processes. Any process; light: a shell imports it."""

import os

from ..settings.app_config import AppConfig
from ..settings.traits import WorkerTraits


def _check(config: AppConfig) -> None:
    from ..processes.environment import app_environment
    from .target.command import node_command

    node_command(config, app_environment(config, os.environ).variables)


NODE_TRAITS = WorkerTraits(
    kind="node",
    title="Node",
    runtime="fastlb.supervisor.node.runtime:NodeRuntime",
    check=_check,
    finishes_through_dispatcher=True,
    tells_own_metrics=True,
    default_credit=2,  # each connection is acknowledged, so nothing is gained by sending more ahead
    not_serving=(
        "runs, but did not listen on a port of this app (a script that starts another process, or listens with"
        " `exclusive` or `reusePort`, cannot be served)"
    ),
    not_said="did not call process.send('ready')",
    abort_signal="SIGKILL",  # on SIGABRT Node tells nothing and leaves a core dump
)
