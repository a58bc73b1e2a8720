"""Owns what may stand in a configuration file: data, of a bounded size and without cycles. Pure; the user's shell."""

import math
from typing import Any

from ..places import KeyPath, path_text

MOST_VALUES = 100_000
DEEPEST = 64


class NotPlain(Exception):
    """There is something else than data, or too much of it; the message says where and what."""


def check_plain(data: Any) -> None:
    """Raise unless `data` is made of objects, arrays, texts, numbers, truth values and null.

    Raises:
        NotPlain: names the path to what is not.
    """
    _Walk().check(data, ())


class _Walk:
    def __init__(self) -> None:
        self._count = 0
        self._around: set[int] = set()

    def check(self, value: Any, path: KeyPath) -> None:
        self._count += 1
        if self._count > MOST_VALUES:
            raise NotPlain(f"there are more than {MOST_VALUES} values in it")
        if isinstance(value, dict | list):
            self._enter(value, path)
        elif isinstance(value, float) and not math.isfinite(value):
            raise NotPlain(f"{path_text(path)} is {value}, which is no number that means anything here")
        elif value is not None and not isinstance(value, str | int | float):
            raise NotPlain(f"{path_text(path)} is a {type(value).__name__}: write it as a text, in quotes")

    def _enter(self, value: dict[Any, Any] | list[Any], path: KeyPath) -> None:
        if id(value) in self._around:
            raise NotPlain(f"{path_text(path)} contains itself")
        if len(path) >= DEEPEST:
            raise NotPlain(f"{path_text(path[:4])} is nested deeper than {DEEPEST} levels")
        self._around.add(id(value))
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict) and not isinstance(key, str):
                raise NotPlain(f"{path_text(path)} has the key {key!r}, which is no text: put it in quotes")
            self.check(item, (*path, key))
        self._around.discard(id(value))
