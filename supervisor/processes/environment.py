"""Owns the environment of an app's processes: what they inherit, what the settings add, and what tells workers apart.

Runs in the supervisor, and in the user's shell to check it before a start. What counts more comes later: the shell,
HOME and the like of `uid`, `env_file`, `env`. docs/environment.md says what an app sees.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import UsageError
from ..settings.app_config import AppConfig
from ..settings.env_names import FILTER_ALL, NODE_CHANNEL_VARIABLES
from ..settings.variables import without_option_variables
from .attributes import identity_of
from .env_files import read_env_files

# What systemd tells one process alone: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3), systemd.exec(5).
SYSTEMD_VARIABLES = (
    *("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"),
    *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "SYSTEMD_EXEC_PID", "JOURNAL_STREAM", "MAINPID"),
)
# What stays when filter_env keeps everything else from an app, as no program can do without.
KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR")
KEPT_PREFIX = "LC_"
# What stands for a worker's number in values of the settings.
NUMBER = re.compile(r"\$\{(?:instance|instance_var)\}")
NUMBER_WORDS = {"instance": "${instance}", "instance_var": "${instance_var}"}
MOST_DIGITS = 18


@dataclass(frozen=True)
class AppEnvironment:
    """What the processes of an app have in common.

    Attributes:
        variables: all of them, those that differ as they stand in the settings.
        given: those that `env_file` and `env` say.
    """

    variables: Mapping[str, str]
    given: Mapping[str, str]

    @property
    def per_worker(self) -> tuple[str, ...]:
        """The names of those in which ${instance} or ${instance_var} stands for the worker's number."""
        return holding_number(self.given)


def number_remark(names: Iterable[str]) -> str:
    """Say that these variables hold a worker's number; empty: there are none."""
    shown = ", ".join(names)
    return f"{shown}: ${{instance}} and ${{instance_var}} are the worker's number" if shown else ""


def holding_number(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of those in which ${instance} or ${instance_var} stands for a worker's number."""
    return tuple(name for name, value in variables.items() if NUMBER.search(value))


def given_environment() -> dict[str, str]:
    """Return what this process was started with: Python adds to its own where no locale is set (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb") as file:
            return decoded_environment(file.read())
    except OSError:
        return dict(os.environ)


def decoded_environment(text: bytes) -> dict[str, str]:
    """Return an environment as it stands in /proc/PID/environ; what is no NAME=VALUE is left out."""
    pairs = (os.fsdecode(pair).partition("=") for pair in text.split(b"\0"))
    return {name: value for name, equals, value in pairs if name and equals}


def app_environment(config: AppConfig, inherited: Mapping[str, str]) -> AppEnvironment:
    """Return what the processes of an app have in common, whose shell has the environment `inherited`.

    Raises:
        UsageError: a file of `env_file` cannot be read, or there is no such user as the settings say.
    """
    identity = identity_of(config)
    shell = {**_handed_on(config, inherited), **(identity.environment if identity else {})}
    given = read_env_files(config.env_file, config.cwd, {**NUMBER_WORDS, **shell}) | config.env
    return AppEnvironment(without_node_channel({**shell, **given}), given)


def worker_environment(config: AppConfig, worker_id: int, environment: AppEnvironment) -> dict[str, str]:
    """Return the whole environment of a worker, without what its channels add.

    Raises:
        UsageError: `increment_var` does not start from a whole number, or a variable's name is none.
    """
    env = dict(environment.variables)
    for name in environment.per_worker:
        if name in env:
            env[name] = NUMBER.sub(str(worker_id), env[name])
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


def _handed_on(config: AppConfig, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what an app inherits: neither what was said to us alone, nor what `filter_env` keeps from it."""
    handed_on = {
        name: value for name, value in without_option_variables(inherited).items() if name not in SYSTEMD_VARIABLES
    }
    if FILTER_ALL in config.filter_env:
        return {name: value for name, value in handed_on.items() if name in KEPT or name.startswith(KEPT_PREFIX)}
    return {name: value for name, value in handed_on.items() if not name.startswith(config.filter_env)}


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
