"""Owns the environment of one worker: what is inherited, the app's `env`, and what tells workers apart. Pure.

Runs in the supervisor, and in the user's shell to check it before a start.
"""

from collections.abc import Mapping

from ..errors import UsageError
from ..settings.app_config import AppConfig
from ..settings.variables import without_option_variables

# How Node tells a child of its channel: inherited from a Node process that started us they mean another one.
NODE_CHANNEL_VARIABLES = ("NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID")
MOST_DIGITS = 18


def instance_environment(config: AppConfig, worker_id: int, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of worker `worker_id`, without what its channels add.

    Raises:
        UsageError: `increment_var` does not start from a whole number, or a variable's name is none.
    """
    env = without_node_channel({**without_option_variables(inherited), **config.env})
    if config.instance_var:
        _check_variable("--instance-var", config.instance_var)
        env[config.instance_var] = str(worker_id)
    if config.increment_var:
        _check_variable("--increment-var", config.increment_var)
        env[config.increment_var] = str(_first_value(config.increment_var, env) + worker_id)
    return env


def without_node_channel(env: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of `env` that tells a Node process of no channel."""
    return {name: value for name, value in env.items() if name not in NODE_CHANNEL_VARIABLES}


def _first_value(variable: str, env: Mapping[str, str]) -> int:
    text = env.get(variable, "0").strip() or "0"
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS):
        raise UsageError(
            f"--increment-var {variable}: it starts from {text[:40]!r}, which is no whole number:"
            f" give --env {variable}=NUMBER"
        )
    return int(text)


def _check_variable(option: str, name: str) -> None:
    if "=" in name:
        raise UsageError(f"{option} {name}: give the name of the variable alone, and its value by --env")
