"""Owns where in a configuration file a key stands. Pure; the user's shell."""

from collections.abc import Sequence

import msgspec

KeyPath = tuple[str | int, ...]


class Place(msgspec.Struct, frozen=True):
    """A place in a file.

    Attributes:
        file: as the user named it.
        line, column: from 1; 0: not known.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class FoundKey(msgspec.Struct):
    """A key in a text.

    Attributes:
        path: to it from the outermost object or array.
        line, column: where it stands, from 1.
        value: the single word, number or text behind it; None: something else, or not looked at.
    """

    path: KeyPath
    line: int
    column: int
    value: str | None = None


class KeyPlaces:
    """Where the keys of one file stand.

    Args:
        file: as the user named it.
        keys: in the order of the text.
        exact: every key of the data is among `keys`, by its whole path; otherwise the data may have been computed, and
            a key is where the text has one of the same name and value in the most similar surroundings.
    """

    def __init__(self, file: str, keys: Sequence[FoundKey], *, exact: bool) -> None:
        self._file = file
        self._keys = keys
        self._is_exact = exact

    def place(self, path: KeyPath, value: object = None) -> Place:
        """Return where the key at the end of `path` stands, which has `value`; the file alone if that is not known."""
        found = (self._found(path, value) or self._inside(path)) if path else None
        return Place(self._file, found.line, found.column) if found else Place(self._file)

    def _found(self, path: KeyPath, value: object) -> FoundKey | None:
        same = [key for key in self._keys if key.path[-len(path) :] == path]
        if same or self._is_exact:
            return same[0] if same else None
        for length in range(len(path) - 1, 0, -1):
            similar = [key for key in self._keys if key.path[-length:] == path[-length:]]
            fitting = [key for key in similar if key.value == _as_written(value)]
            if fitting or len(similar) == 1:
                return (fitting or similar)[0]
        return None

    def _inside(self, path: KeyPath) -> FoundKey | None:
        """The first key below `path`: a table has a place, although no key is there that is it alone."""
        return next((key for key in self._keys if key.path[: len(path)] == path), None)


def _as_written(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def path_text(path: KeyPath) -> str:
    """Return `apps[0].env.PORT`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the whole file"
