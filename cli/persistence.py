"""Owns bringing back apps that were saved: those that ran are started, those that were stopped are listed.

Runs in the user's shell. An app that runs now is left alone.
"""

from collections.abc import Callable
from pathlib import Path

from ..supervisor.errors import FastlbError
from ..supervisor.home.app_lock import is_running
from ..supervisor.home.paths import AppPaths, default_home, prepare_app_dir, prepare_home
from ..supervisor.home.saved_apps import SavedApp, config_of, put_besides, read_saved
from ..supervisor.home.stopped_workers import stopped_in
from ..supervisor.home.stored_config import save_config
from ..supervisor.kinds import traits_of
from ..supervisor.settings.app_config import AppConfig
from ..supervisor.settings.declared import check_config
from .launching import launch
from .operations import do_each, say_nothing_to_do
from .output import Output


def resurrect(home: Path | None = None) -> int:
    """Bring back what was saved; return the exit code: 1 if some app could not be started.

    Raises:
        FastlbError: nothing was saved, or it cannot be read.
    """
    home = home or default_home()
    names, bring_back = saved_set(home)
    if not names:
        say_nothing_to_do("nothing ran when it was saved")
        return 0
    return do_each(bring_back, names)


def saved_set(home: Path) -> tuple[list[str], Callable[[str], str]]:
    """Return the names of the apps that were saved, and what brings one of them back and says how it went.

    Raises:
        FastlbError: as `resurrect`.
    """
    saved = read_saved(home)
    if saved.remark:
        Output.for_errors().warning(saved.remark)
    apps = {app.name: app for app in saved.apps}
    return list(apps), lambda name: _bring_back(AppPaths(home, name), apps[name])


def _bring_back(paths: AppPaths, app: SavedApp) -> str:
    if is_running(paths):
        return "runs already"
    config, strange = config_of(app)
    left_out = f" (left out, as it is unknown now: {', '.join(strange)})" if strange else ""
    return (_start(paths, app, config) if app.is_running else _list(paths, app, config)) + left_out


def _list(paths: AppPaths, app: SavedApp, config: AppConfig) -> str:
    if paths.config.exists():
        return "is stopped, as it was"
    prepare_home(paths.home)
    prepare_app_dir(paths)
    save_config(paths, config)
    put_besides(paths, app)
    return "is listed, and stopped, as it was"


def _start(paths: AppPaths, app: SavedApp, config: AppConfig) -> str:
    """Start an app, which is listed afterwards even if it fails."""
    is_new = not paths.config.exists()
    if is_new:
        _list(paths, app, config)
    try:
        check_config(config, traits_of(config))
        stopped = stopped_in(app.besides.get(paths.stopped_workers.name, []))
        return launch(config, stopped=stopped).text.removeprefix(f"{paths.name} ")
    except FastlbError as error:
        message = f"{error.message} (it stays in the list)"
        raise FastlbError(message, details=error.details, exit_code=error.exit_code) from error
