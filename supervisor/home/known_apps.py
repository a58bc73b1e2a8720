"""Owns the answer to the question which apps there are. Runs in the user's shell; reads only."""

import os
from pathlib import Path

from ..settings.app_name import is_app_name
from .app_lock import is_running
from .paths import AppPaths, no_directory, not_readable


def list_apps(home: Path) -> list[str]:
    """Names of all known apps, sorted: those that run, and those that have run and were not deleted.

    A directory without either is what a killed first start left; the next start of that name takes it over.

    Raises:
        HomeUnusable: the home, or what it is in, is no directory, or another user's.
    """
    try:
        names = [entry.name for entry in os.scandir(home / "apps") if is_app_name(entry.name)]
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise no_directory(home / "apps") from None
    except PermissionError as error:
        raise not_readable(home / "apps", error) from None
    apps = (AppPaths(home, name) for name in sorted(names))
    return [paths.name for paths in apps if _is_known(paths)]


def _is_known(paths: AppPaths) -> bool:
    try:
        return paths.config.exists() or is_running(paths)
    except PermissionError:
        return True  # another user's, as after a command by sudo: whoever asks it says so
