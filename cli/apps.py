"""Owns which apps there are and what they say of themselves: running ones are asked, stopped ones are read
from their files.

Runs in the user's shell. It changes nothing: neither apps nor files.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..supervisor.control.client import ControlClient, NotRunning, Unreachable
from ..supervisor.control.protocol import AppDetails, AppEntry, AppStatus
from ..supervisor.errors import FastlbError
from ..supervisor.home.app_lock import is_running
from ..supervisor.home.died import describe_death, has_died
from ..supervisor.home.log_files import app_files
from ..supervisor.home.paths import AppPaths
from ..supervisor.home.stored_config import load_config
from ..supervisor.kinds import effective_bind, traits_of
from ..supervisor.settings.app_config import AppConfig
from .app_paths import paths_of as paths_of
from .parallel import ask_each
from .targets import resolve_name as resolve_name
from .targets import resolve_names as resolve_names

# Longer than a healthy supervisor ever takes, short enough that one that hangs does not spoil `list`.
ANSWER_SECONDS = 2.0


@contextlib.contextmanager
def connected(name: str, timeout: float) -> Iterator[ControlClient]:
    """Hold a connection to the supervisor of the app `name`; `timeout`: seconds for each answer.

    Raises:
        NotRunning: the app is stopped.
        FastlbError: it runs, and cannot be reached.
    """
    paths = paths_of(name)
    try:
        client = ControlClient(paths.control_socket, timeout)
    except NotRunning:
        if is_running(paths):
            raise NoSocket(
                f"{name} runs, but does not listen to commands: it is starting or ending, or its control socket was"
                f" removed and is made anew within a second: try again, or `fastlb stop {name}`"
            ) from None
        raise
    with client:
        yield client


class NoSocket(FastlbError):
    """The app runs, and its supervisor cannot be reached."""


class AppState(msgspec.Struct, frozen=True):
    """An app as `list` shows it.

    Attributes:
        entry: what it says, or what is known without its supervisor.
        problem: what kept us from knowing more; empty when nothing did.
        is_unreachable: this process alone may be why.
    """

    entry: AppEntry
    problem: str = ""
    is_unreachable: bool = False


def read_states(names: Sequence[str]) -> list[AppState]:
    """Return the state of each app; running ones are asked at the same time."""
    return [answer for answer in ask_each(read_state, names) if isinstance(answer, AppState)]


def read_state(name: str) -> AppState:
    """Return the state of one app. Never raises for an app that is stopped, starting or stuck."""
    paths = paths_of(name)
    try:
        with ControlClient(paths.control_socket, ANSWER_SECONDS) as client:
            return AppState(client.call("list"))
    except NotRunning:
        # With the lock held and no socket it has not opened it yet, or has closed it already.
        if has_died(paths):
            return _unanswered(paths, "died", describe_death(paths))
        return _unanswered(paths, "starting" if is_running(paths) else "stopped")
    except FastlbError as error:
        state = _unanswered(paths, "unresponsive", error.message)
        return msgspec.structs.replace(state, is_unreachable=isinstance(error, Unreachable))


def read_details(name: str) -> AppDetails:
    """Return everything that is known of one app.

    Raises:
        FastlbError: its supervisor does not answer, or its files are damaged.
    """
    try:
        with connected(name, ANSWER_SECONDS) as client:
            details: AppDetails = client.call("show")
            return details
    except NotRunning:
        return _stopped_details(paths_of(name))


def _unanswered(paths: AppPaths, status: AppStatus, problem: str = "") -> AppState:
    config = None
    try:
        config = load_config(paths)
    except FastlbError as error:
        problem = problem or ("" if status == "starting" else error.message)
    return AppState(_entry_without_supervisor(paths.name, status, config), problem)


def _entry_without_supervisor(name: str, status: AppStatus, config: AppConfig | None) -> AppEntry:
    """`config`: None if it cannot be read."""
    traits = traits_of(config) if config else None
    return AppEntry(
        name=name,
        status=status,
        mode=traits.mode if traits else "cluster",
        pid=None,
        uptime_s=0.0,
        restarts=0,
        binds=list(effective_bind(config)) if config else [],
        balance=config.balance if config and traits and traits.needs_dispatcher else "",
        workers=[],
        namespace=config.namespace if config else "",
        target=config.target if config else "",
        cwd=config.cwd if config else "",
    )


def _stopped_details(paths: AppPaths) -> AppDetails:
    from ..supervisor.settings.declared import hide_secrets

    config = load_config(paths)
    death = describe_death(paths) if has_died(paths) else ""
    entry = _entry_without_supervisor(paths.name, "died" if death else "stopped", config)
    fields: dict[str, Any] = msgspec.structs.asdict(entry)
    files = app_files(config, paths)
    return AppDetails(**fields, settings=hide_secrets(config), dispatcher={}, files=files, last_error=death)
