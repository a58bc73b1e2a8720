"""Owns what is particular to workers that run our own runtime. Any process; light: a shell imports it."""

import os

from ..settings.app_config import DEFAULT_BIND, AppConfig
from ..settings.traits import WorkerTraits


def _check(config: AppConfig) -> None:
    """Only a worker can tell whether an app can be imported."""
    if config.interpreter or config.interpreter_args:
        from ..processes.environment import app_environment
        from .interpreter import python_command

        python_command(config, app_environment(config, os.environ).variables)


PYTHON_TRAITS = WorkerTraits(
    kind="python",
    title="Python",
    runtime="fastlb.supervisor.python.runtime:PythonRuntime",
    check=_check,
    default_bind=DEFAULT_BIND,
    restarts_when_old="out",
    default_credit=16,
    bounded_by_descriptors=True,
    counts_requests=True,
    not_said="did not call fastlb.worker.ready()",
)
