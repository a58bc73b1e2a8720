"""Owns what is done to the log files of apps: emptying them, and having them opened anew. Runs in the user's shell.

It must never touch what is not a file that an app writes: whatever else lies at its name is refused.
"""

import os
from collections.abc import Callable
from pathlib import Path

from ..supervisor.control.client import NotRunning
from ..supervisor.errors import FastlbError
from ..supervisor.home.log_files import log_templates, rotated_files
from ..supervisor.regular_file import open_regular
from .apps import ANSWER_SECONDS, connected, paths_of
from .log_view.app_logs import config_of, files_of


def flush(name: str, *, rotated: bool = False) -> str:
    """Empty the log files of an app, whether or not it runs; `rotated`: remove those that were rotated away.

    What is written meanwhile is in the file or is not, line by line: files are written at their end. Return a sentence.

    Raises:
        FastlbError: a file cannot be emptied; the others are.
    """
    files = _files(name)
    old = [path for file in files for path in rotated_files(file)] if rotated else []
    failures = [failure for file in files if (failure := _failure_of(_empty, file))]
    failures += [failure for file in old if (failure := _failure_of(Path.unlink, file))]
    if failures:
        raise FastlbError("; ".join(failures))
    emptied = f"{len(files)} log file{'' if len(files) == 1 else 's'} emptied"
    return emptied + (f", {len(old)} rotated removed" if rotated else "")


def reopen(name: str) -> str:
    """Have the supervisor of an app open its log files anew where they were moved away. Return a sentence.

    Raises:
        FastlbError: it does not answer.
    """
    try:
        with connected(name, ANSWER_SECONDS) as client:
            client.call("reopen_logs")
    except NotRunning:
        return "it does not run, and has no files open"
    return "log files are opened anew where they were moved"


def _files(name: str) -> list[Path]:
    paths = paths_of(name)
    templates = log_templates(config_of(paths), paths).values()
    written = [path for template in templates for path in files_of(template)]
    return [path for path in dict.fromkeys([*written, paths.supervisor_log]) if os.path.lexists(path)]


def _empty(path: Path) -> None:
    fd = open_regular(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _failure_of(do: Callable[[Path], object], path: Path) -> str:
    try:
        do(path)
    except FileNotFoundError:
        return ""  # it was rotated, or removed, in between
    except OSError as error:
        return f"cannot empty {path}: {error.strerror or error}"
    return ""
