"""Owns the environment of an app's processes: what is inherited, the app's `env`, and what tells workers apart.

Runs in the supervisor, and in the user's shell to check it before a start.
"""

from collections.abc import Mapping

from ..errors import UsageError
from ..settings.app_config import AppConfig
from ..settings.variables import without_option_variables
from .attributes import identity_of

# How Node tells a child of its channel: inherited from a Node process that started us they mean another one.
NODE_CHANNEL_VARIABLES = ("NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID")
# What systemd tells one process alone, by sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3) and systemd.exec(5).
SYSTEMD_VARIABLES = (
    *("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"),
    *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "SYSTEMD_EXEC_PID", "JOURNAL_STREAM", "MAINPID"),
)
MOST_DIGITS = 18


def app_environment(config: AppConfig, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what the processes of an app have in common: `inherited` without what was meant for us, then `env`.

    Raises:
        UsageError: there is no such user as the settings say.
    """
    identity = identity_of(config)
    handed_on = {
        name: value for name, value in without_option_variables(inherited).items() if name not in SYSTEMD_VARIABLES
    }
    return without_node_channel({**handed_on, **(identity.environment if identity else {}), **config.env})


def worker_environment(config: AppConfig, worker_id: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a worker, without what its channels add.

    Args:
        config: the settings.
        worker_id: its number.
        environment: as `app_environment` returns it.

    Raises:
        UsageError: `increment_var` does not start from a whole number, or a variable's name is none.
    """
    env = dict(environment)
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
