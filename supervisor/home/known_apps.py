"""Owns the answer to the question which apps there are. Runs in the user's shell; reads only."""

import os
from pathlib import Path

from ..settings.app_name import is_app_name
from .app_lock import is_running
from .paths import AppPaths


def list_apps(home: Path) -> list[str]:
    """Names of all known apps, sorted: those that run, and those that have run and were not deleted.

    A directory without either is what a killed first start left; the next start of that name takes it over.
    """
    try:
        names = [entry.name for entry in os.scandir(home / "apps") if is_app_name(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    apps = (AppPaths(home, name) for name in sorted(names))
    return [paths.name for paths in apps if paths.config.exists() or is_running(paths)]
