"""Owns source.json of an app: the configuration file that it was started from. Written and read by the user's shell.

It is beside config.json, and goes with it when the app is deleted.
"""

import os
from typing import Any

import msgspec

from ...supervisor.errors import FastlbError
from ...supervisor.home.paths import AppPaths
from ...supervisor.home.stored_config import write_atomically
from ...supervisor.processes.working_directory import name_of_directory
from ...supervisor.regular_file import read_regular
from ..config_files.reading import STDIN


class AppSource(msgspec.Struct, frozen=True):
    """Where an app comes from.

    Attributes:
        file: absolute path; empty: standard input, which nobody can read again.
        environment: the `env_NAME` that was chosen; empty: none.
        origins: of the settings that were said: where.
        said: their values, as in config.json.
    """

    file: str
    environment: str = ""
    origins: dict[str, str] = {}
    said: dict[str, Any] = {}

    def origin(self, setting: str, value: Any) -> str:
        """Return where a setting was said that has `value` now; empty: nowhere."""
        now = list(value) if isinstance(value, tuple) else value  # JSON knows no tuples
        if setting in self.origins and self.said.get(setting) != msgspec.to_builtins(now):
            return f"a command since; before {self.origins[setting]}"
        return self.origins.get(setting, "")


def absolute_file(path: str) -> str:
    """Return the absolute path of a configuration file, links unresolved; empty for standard input."""
    if path == STDIN:
        return ""
    return os.path.join(name_of_directory(os.path.dirname(path)), os.path.basename(path))


def save_source(paths: AppPaths, source: AppSource) -> None:
    """Remember where an app comes from.

    Raises:
        FastlbError: the disk does not take it.
    """
    try:
        write_atomically(paths.source, msgspec.json.format(msgspec.json.encode(source), indent=1))
    except OSError as error:
        raise FastlbError(f"cannot write {paths.source}: {error.strerror}") from error


def load_source(paths: AppPaths) -> AppSource | None:
    """Return where an app comes from; None: from no file, or that is not known any more."""
    try:
        return msgspec.json.decode(read_regular(paths.source), type=AppSource)
    except (OSError, msgspec.DecodeError):
        return None
