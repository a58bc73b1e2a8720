"""Owns reading a configuration file with the environment (`env_NAME`) that each of its apps has. Runs in the shell.

An environment that was chosen once is kept until another one is.
"""

from collections.abc import Mapping

from ..config_files.apps import FileApps, read_apps, understood
from ..config_files.reading import read_config_file
from .order import FileOrder
from .source import AppSource


def read_ordered(order: FileOrder, sources: Mapping[str, AppSource], file: str) -> FileApps:
    """Return the apps that are asked for.

    Args:
        order: what is asked for.
        sources: of the apps that are known, by name.
        file: absolute path of the file; empty: standard input.

    Raises:
        FastlbError: as `read_apps`.
    """
    if order.environment is not None or not file:
        return read_apps(order.file, environment=order.environment or "", only=order.only)
    content = read_config_file(order.file)
    chosen = {name: source.environment for name, source in sources.items() if source.file == file}
    return understood(content, lambda name: chosen.get(name, ""), order.only)
