"""Owns a start, from what was typed to the supervisor that runs: which settings count, what is shown.

Runs in the user's shell.
"""

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..supervisor.errors import FastlbError, UsageError
from ..supervisor.home.app_lock import is_running
from ..supervisor.home.known_apps import list_apps
from ..supervisor.home.paths import AppPaths, HomeUnusable, default_home, prepare_home
from ..supervisor.home.stored_config import load_config
from ..supervisor.kinds import traits_of
from ..supervisor.launch.messages import FailedReport, Foreground, ProgressReport, StartedReport
from ..supervisor.processes.attributes import attributes_of
from ..supervisor.processes.check_command import refuse_missing_check
from ..supervisor.processes.environment import app_environment, worker_environment
from ..supervisor.processes.working_directory import enter_directory, name_of_directory
from ..supervisor.settings.app_config import AppConfig
from ..supervisor.settings.targets import (
    PACKAGE_FILE,
    check_target,
    is_any_program,
    is_imported,
    name_from_target,
    usable_name,
    wrapper_name,
)
from ..supervisor.suggestions import nearest
from .app_paths import paths_of
from .mode_choice import fitting_mode
from .output import Output, ProgressDisplay
from .target_advice import served_app, what_to_type

if TYPE_CHECKING:
    from ..supervisor.launch.starter import LaunchedSupervisor

SHARED_MEMORY = "/dev/shm"


def known_apps() -> list[str]:
    """Return the names of all apps; none where there can be no home, which is no obstacle to `run`."""
    try:
        return list_apps(default_home())
    except (FastlbError, PermissionError):
        return []


def stored_config(name: str, args: Sequence[str], given: Mapping[str, Any]) -> AppConfig:
    """Return the settings of the app `name`, which was started before, changed as `given`; unchecked.

    Raises:
        UsageError: it has another name already.
        FastlbError: it runs, or the stored settings are damaged.
    """
    refuse_running(paths_of(name))
    if given.get("name", name) != name:
        raise UsageError(f"{name} has its name already: `fastlb delete {name}` and start its target anew")
    changed = _settled(given) | ({"args": tuple(args)} if args else {})
    return msgspec.structs.replace(load_config(paths_of(name)), **changed)


def new_config(target: str, args: Sequence[str], given: Mapping[str, Any]) -> AppConfig:
    """Return the settings for a target, as `given`; unchecked.

    Raises:
        UsageError: it is none, and it is known what was meant.
    """
    settings = {"cwd": name_of_directory()} | _settled(given)
    interpreter = settings.get("interpreter", "")
    if settings.get("exec_mode", "auto") == "auto":
        settings["exec_mode"] = fitting_mode(target, interpreter, settings["cwd"], settings.get("app_dir", "."))
        _say_what_is_served(target, settings)
    if is_any_program(target, interpreter, settings["exec_mode"]):
        return _new_program(target, args, settings)
    if wrapper := wrapper_name(target):
        from ..supervisor.node.target.script import refusal_here

        raise refusal_here(wrapper, settings["cwd"])
    if ":" not in target and is_imported(target, interpreter):
        suggestion = nearest(target, known_apps())
        if suggestion:
            raise FastlbError(f"there is no app {target!r}; did you mean {suggestion}?")
    _refuse_file(target, interpreter, settings)
    check_target(target, interpreter)
    if "name" not in settings:
        settings["name"] = _default_name(target, interpreter, settings["cwd"])
    return AppConfig(target=target, args=tuple(args), **settings)


def _say_what_is_served(target: str, settings: Mapping[str, Any]) -> None:
    """Tell whoever starts a program how the app behind it, if there is one, can have several workers on one port."""
    if not is_any_program(target, "", settings["exec_mode"]):
        return
    if wrapper := wrapper_name(target):
        from ..supervisor.node.target.script import what_to_type_here

        what_runs, command = f"{wrapper} starts the app itself, so it runs", what_to_type_here(wrapper, settings["cwd"])
    else:
        advice = served_app(target, settings["cwd"], settings.get("app_dir", "."))
        what_runs, command = f"{target} runs", f"fastlb start {advice}" if advice else ""
    if command:
        Output.for_errors().line(f"note: {what_runs} in fork mode; with workers behind one port: `{command}`")


def _new_program(target: str, args: Sequence[str], settings: dict[str, Any]) -> AppConfig:
    """Return the settings of a fork-mode app."""
    settings.setdefault("name", name_from_target(target, settings.get("interpreter", ""), "fork") or "app")
    return AppConfig(target=target, args=tuple(args), **settings)


def _refuse_file(target: str, interpreter: str, settings: Mapping[str, Any]) -> None:
    """Raise for a Python file, or a module without an attribute, that is there: then it is known what was meant."""
    if not is_imported(target, interpreter):
        return
    advice = what_to_type(target, settings["cwd"], settings.get("app_dir", "."))
    if advice and target.partition(":")[0].endswith(".py"):
        raise UsageError(
            f"{target!r} is a file, which --fork would run as it is, and fastlb imports a module: type {advice}"
        )
    if advice:
        raise UsageError(f"{target!r} does not say which object of the module is the app: type {advice}")


def _default_name(target: str, interpreter: str, cwd: str) -> str:
    """Return the name that a package says itself, else that of its directory, of its script or of its module."""
    path = os.path.abspath(os.path.join(cwd, target))
    is_package_file = os.path.basename(path) == PACKAGE_FILE
    if is_imported(target, interpreter) or not (is_package_file or os.path.isdir(path)):
        return name_from_target(target, interpreter)
    from ..supervisor.node.target.package_file import read_package

    directory = os.path.dirname(path) if is_package_file else path
    named = usable_name(read_package(directory).name)
    return named or usable_name(os.path.basename(directory)) or "app"


def _settled(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was typed so that it means the same when the app is started from another directory."""
    return dict(given) | ({"cwd": name_of_directory(given["cwd"])} if "cwd" in given else {})


def _refuse_other_app(config: AppConfig) -> None:
    """Raise if a start of `config` would overwrite the settings of an app that only happens to have the same name.

    Raises:
        FastlbError: another app has the name that was made from the target.
    """
    name = config.name
    if name not in list_apps(default_home()):
        return
    try:
        stored = load_config(paths_of(name))
    except FastlbError:
        return  # its damaged file is replaced by this start
    if (stored.cwd, stored.app_dir, _module(stored)) != (config.cwd, config.app_dir, _module(config)):
        raise FastlbError(
            f"{name} is the name of another app, {stored.target} in {stored.cwd}: give this one a --name of its own,"
            f" or forget the other with `fastlb delete {name}`"
        )


def _module(config: AppConfig) -> str:
    return config.target.partition(":")[0]


def launch(
    config: AppConfig,
    *,
    wait: bool = True,
    is_named: bool = True,
    origins: Mapping[str, str] | None = None,
    stopped: Sequence[int] = (),
) -> StartedReport:
    """Start the supervisor of `config`, show how it goes, return what it says at the end.

    `wait`: only when the workers have lived for `settle`. `is_named`: the user typed the app's name, and means it.
    `origins` and `stopped` as in LaunchRequest.

    Raises:
        FastlbError: it did not start; with a worker's traceback if one failed.
    """
    paths = _prepared_paths(config)
    if not is_named:
        _refuse_other_app(config)
    from ..supervisor.launch.starter import launch_detached  # slow, and `check` starts nothing

    supervisor = launch_detached(config, paths, wait=wait, origins=origins or {}, stopped=stopped)
    with supervisor, ProgressDisplay(Output.for_errors()) as display:
        return follow_start(config.name, supervisor, display)


def follow_start(
    name: str, supervisor: "LaunchedSupervisor", display: ProgressDisplay, *, names_app: bool = False
) -> StartedReport:
    """Show how the start of an app goes, and return what its supervisor says at the end.

    `names_app`: in front of each step, as others are started at the same time.

    Raises:
        FastlbError: it did not start; with a worker's traceback if one failed.
    """
    for report in supervisor:
        if isinstance(report, ProgressReport):
            display.show(f"{name}: {report.text}" if names_app else report.text, report.admitted, report.workers)
        elif isinstance(report, FailedReport):
            raise FastlbError(report.message, details=report.details, exit_code=report.exit_code)
        elif isinstance(report, StartedReport):
            return report
    raise FastlbError(f"the start of {name} ended without a word: see {paths_of(name).supervisor_log}")


def become_supervisor(
    config: AppConfig, foreground: Foreground, origins: Mapping[str, str], *, is_known: bool = False
) -> None:
    """Replace this process by the supervisor of `config`, in the foreground. Returns only by raising.

    `origins` as in LaunchRequest, `is_known` as `exec_foreground`.

    Raises:
        FastlbError: it cannot be started here.
    """
    from ..supervisor.launch.starter import exec_foreground  # as above

    paths, foreground = prepared_in_foreground(config, foreground)
    exec_foreground(config, paths, foreground, origins, is_known=is_known)


def prepared_in_foreground(config: AppConfig, foreground: Foreground) -> tuple[AppPaths, Foreground]:
    """Enter the directory of an app that is to run in the foreground; return where its files are, and how it runs.

    Where the home cannot be used, and no files are asked for, a temporary directory takes its place, which is said.

    Raises:
        FastlbError: it cannot be started here.
    """
    problem = ""
    try:
        prepare_home(default_home())
        refuse_running(paths_of(config.name))
    except HomeUnusable as error:
        if foreground.log_files:
            raise
        problem = error.message
    prepare_to_run(config)
    home = _temporary_home(problem) if problem else default_home()
    if problem:
        say_in_foreground(f"{problem}; commands reach this app with FASTLB_HOME={home}", foreground, config.name)
    return AppPaths(home, config.name), msgspec.structs.replace(foreground, temporary_home=bool(problem))


def say_in_foreground(text: str, foreground: Foreground, name: str) -> None:
    """Say something before there is a supervisor, as that would say it; `name`: of the app."""
    if foreground.as_json:
        from ..supervisor.output.supervisor_lines import json_words

        text = json_words(name, text).rstrip("\n")
    else:
        text = f"fastlb | {text}"
    Output.for_errors().line(text)


def _temporary_home(problem: str) -> Path:
    """Return a new directory; on a system that is for reading only there may be no other place than /dev/shm.

    Raises:
        FastlbError: there is nowhere to write.
    """
    for directory in (None, SHARED_MEMORY):
        with contextlib.suppress(OSError):
            return Path(tempfile.mkdtemp(prefix="fastlb-", dir=directory))
    raise FastlbError(f"{problem}; nor can anything be written to /tmp or {SHARED_MEMORY}: mount one of them writable")


def refuse_running(paths: AppPaths) -> None:
    """Raise if the app runs.

    Raises:
        FastlbError: it does; the message says what can be done instead.
    """
    if is_running(paths):
        name = paths.name
        raise FastlbError(
            f"{name} is running already: `fastlb reload {name}` loads new code, `fastlb stop {name}` ends it,"
            " and another app needs another --name"
        )


def _prepared_paths(config: AppConfig) -> AppPaths:
    paths = paths_of(config.name)
    refuse_running(paths)
    prepare_to_run(config)
    return paths


def prepare_to_run(config: AppConfig) -> None:
    """Enter the app's working directory, and raise for what would make its start fail.

    Raises:
        FastlbError: there is no such directory, or nothing in it that could be run as asked for.
    """
    # The supervisor and its workers inherit it, so relative paths in the settings always mean the same.
    enter_directory(config.cwd)
    if not os.path.isdir(config.app_dir):
        raise FastlbError(f"--app-dir {config.app_dir}: there is no such directory in {os.getcwd()}")
    _check_workers(config)


def _check_workers(config: AppConfig) -> None:
    """Raise for what would make every worker fail, before there is a supervisor."""
    refuse_missing_check(config, worker_environment(config, 0, app_environment(config, os.environ)))
    attributes_of(config, 0)
    traits_of(config).check(config)
