"""Owns which apps come from a configuration file, for commands that are told the file. Runs in the user's shell.

The file itself is not read: what was started from it counts, so that it can be ended when the file has changed.
"""

from collections.abc import Collection

from ...supervisor.errors import FastlbError
from ..apps import paths_of
from ..config_files.reading import STDIN, is_config_file
from .source import absolute_file, load_source


def apps_of_file(word: str, known: Collection[str]) -> list[str]:
    """Return the names of the apps that were started from the file `word`; none: it is no configuration file.

    `known`: names of all apps.

    Raises:
        FastlbError: it is one, and no app comes from it.
    """
    if word == STDIN or word in known or not is_config_file(word):
        return []
    file = absolute_file(word)
    names = [name for name in known if (source := load_source(paths_of(name))) and source.file == file]
    if not names:
        raise FastlbError(f"no app was started from {word}: `fastlb start {word}`")
    return names
