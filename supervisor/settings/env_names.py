"""Owns which texts may name environment variables in settings. Pure; any process."""

from collections.abc import Iterable


def check_filter(names: Iterable[str]) -> None:
    """Raise unless each text is the name of a variable, or its beginning.

    Raises:
        ValueError: says which is not.
    """
    for name in names:
        if not name or "=" in name:
            raise ValueError(f"{name!r} is no name of a variable, and no beginning of one")
