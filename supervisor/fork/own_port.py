"""Owns the question on which port a program listens, as far as it was told by us. Any process."""

from collections.abc import Mapping

from ..errors import UsageError
from ..settings.app_config import AppConfig
from ..settings.health import health_plan

PORT = "PORT"
HIGHEST_PORT = 65535


def port_variable(config: AppConfig) -> str:
    """Return the environment variable that tells a process its port: PORT, or the one that is counted up."""
    return config.increment_var if PORT in config.increment_var.upper() else PORT


def own_port(config: AppConfig, env: Mapping[str, str], option: str) -> int:
    """Return the port that the environment of a process tells it; `option`: needs it, for the message.

    Raises:
        UsageError: the environment tells it none.
    """
    variable = port_variable(config)
    text = env.get(variable, "").strip()
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= HIGHEST_PORT):
        given = f"{variable} is {text[:40]!r}" if text else f"{variable} is not set"
        raise UsageError(f"{option}: it is not known where a process listens: {given}: give --env {variable}=NUMBER")
    return int(text)


def needed_port(config: AppConfig, env: Mapping[str, str], *, has_listeners: bool) -> int | None:
    """Return the port that has to be known, of a process with this environment; None: none has.

    Raises:
        UsageError: its environment does not tell it.
    """
    plan = health_plan(config)
    if config.ready_when == "port":
        return own_port(config, env, "--ready-when port")
    if plan and plan.kind != "command" and not has_listeners:
        return own_port(config, env, "--health-check")
    return None
