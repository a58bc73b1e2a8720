"""Owns the working directory of an app: how it is named, and how a process comes to be in it. Supervisor and shell.

A deploy often switches a symbolic link. So the directory is named as the user came there, and is entered anew for
every generation: what the name means may have changed, and where it was may have been removed.
"""

import os

from ..errors import FastlbError


def name_of_directory(path: str = "") -> str:
    """Return the absolute name of a directory as the user's shell has it, symbolic links unresolved.

    Args:
        path: relative to the working directory; "": that itself.

    Raises:
        FastlbError: the working directory was removed.
    """
    logical = os.path.normpath(os.path.join(os.environ.get("PWD", ""), path))
    physical = os.path.abspath(os.path.join(_working_directory(), path))
    return logical if os.path.isabs(logical) and _is_same(logical, physical) else physical


def enter_directory(path: str) -> None:
    """Make what `path` names now the working directory of this process; "": leave it as it is.

    Raises:
        FastlbError: that cannot be.
    """
    try:
        os.chdir(path or ".")
    except OSError as error:
        raise FastlbError(f"cannot work in {path}: {error.strerror}: restore the directory, or set --cwd") from error


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise FastlbError("the current directory was removed: go to another one") from None


def _is_same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False
