"""Owns which texts may name environment variables in settings. Pure; any process."""

from collections.abc import Iterable

# The word of filter_env for every variable; a file may say it by true.
FILTER_ALL = "true"


def check_filter(names: Iterable[str]) -> None:
    """Raise unless each text is the name of a variable, or its beginning.

    Raises:
        ValueError: says which is not.
    """
    for name in names:
        if not name or "=" in name:
            raise ValueError(f"{name!r} is no name of a variable, and no beginning of one")
# How Node tells a child of its channel: inherited from a Node process that started us they mean another one.
NODE_CHANNEL_VARIABLES = ("NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID")
