"""Owns what is particular to workers that are any program, each on its own. Any process; light: a shell imports it."""

import os

from ..settings.app_config import AppConfig
from ..settings.health import health_plan
from ..settings.traits import WorkerTraits


def _check(config: AppConfig) -> None:
    from ..processes.environment import app_environment
    from .target.command import program_command

    environment = app_environment(config, os.environ)
    program_command(config, environment.variables)
    if config.ready_when == "port" or health_plan(config):
        from ..processes.environment import worker_environment
        from .own_port import needed_port

        needed_port(config, worker_environment(config, 0, environment), has_listeners=bool(config.bind))


# Nothing shares the load among its processes, so more of them take nothing from the others.
SCALING = (
    *("min_instances", "max_instances", "scale_cpu", "scale_memory"),
    *("scale_up_cooldown", "scale_down_cooldown"),
)
# Its processes accept themselves, and read what comes first themselves.
PROXY = ("proxy_protocol", "proxy_allow_ips", "sticky_cookie")
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
    without_meaning=("balance", "credit", "max_connections", "handover_timeout", *PROXY, *SCALING),
    not_serving="was not ready (--ready-when)",
    not_said=(
        "did not write \"ready\" to its channel (descriptor NODE_CHANNEL_FD; in Node process.send('ready')), nor say"
        " READY=1 (sd_notify)"
    ),
    abort_signal="SIGTERM",
)
