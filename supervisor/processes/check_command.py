"""Owns whether the command of a health check could be run at all. Runs in the user's shell, before a start.

It only looks. A command that is not there would fail as a check does: the app would seem ill, or never start.
"""

import os
import shutil
from collections.abc import Mapping

from ..errors import UsageError
from ..settings.app_config import AppConfig
from ..settings.health import health_plan
from .programs import is_executable, split_words


def refuse_missing_check(config: AppConfig, env: Mapping[str, str]) -> None:
    """Raise where no worker could be asked, as the command that asks is not there. `env`: a worker's.

    Raises:
        UsageError: it is not there, or may not be run; says where it was looked for.
    """
    plan = health_plan(config)
    if plan is None or plan.kind != "command":
        return
    program = split_words("--health-check", plan.command)[0]
    if "/" not in program:
        if shutil.which(program, path=env.get("PATH")) is None:
            where = f"on PATH ({env.get('PATH', '')})"
            raise UsageError(f"--health-check: there is no program {program} {where}: give a command, /PATH or tcp")
        return
    path = os.path.normpath(os.path.join(config.cwd, program))
    if not os.path.isfile(path):
        raise UsageError(f"--health-check: there is no file {path}: give a command, /PATH or tcp")
    if not is_executable(path):
        raise UsageError(f"--health-check: {path} may not be executed: `chmod +x {path}`")
