"""Owns which texts may be the name of an app: it becomes a directory and a word of every command. Pure; any process."""

import re

from ..errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


def is_app_name(text: str) -> bool:
    """Whether `text` may be the name of an app: nothing that could leave its directory."""
    return _NAME.fullmatch(text) is not None


def check_namespace(text: str) -> None:
    """Raise unless a group of apps may be called `text`: it stands where names of apps stand.

    Raises:
        ValueError: says what is allowed.
    """
    if not is_app_name(text) or text == "all":
        raise ValueError(f"{text!r} cannot be the name of a group: use 1 to 64 letters, digits, '.', '_' or '-'")


def check_app_name(name: str) -> str:
    """Return `name` if it may be the name of an app.

    Raises:
        UsageError: says what is allowed.
    """
    if not is_app_name(name):
        raise UsageError(
            f"{name!r} cannot be the name of an app: use 1 to 64 letters, digits, '.', '_' or '-',"
            " not starting with '.' or '-'"
        )
    return name
