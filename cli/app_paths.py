"""Owns where the files of an app are, for commands. Runs in the user's shell; imports little."""

from ..supervisor.home.paths import AppPaths, default_home


def paths_of(name: str) -> AppPaths:
    """Return the files of the app `name`.

    Raises:
        UsageError: no app can have this name.
    """
    return AppPaths(default_home(), name)
