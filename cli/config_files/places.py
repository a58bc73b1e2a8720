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


class FoundKey(msgspec.Struct, frozen=True):
    """A key, by the path to it from the outermost object or array of its text, and where it stands (from 1)."""

    path: KeyPath
    line: int
    column: int


class KeyPlaces:
    """Where the keys of one file stand.

    Args:
        file: as the user named it.
        keys: in the order of the text.
        exact: every key of the data is among `keys`, by its whole path; otherwise the data was computed, and a key is
            where the text has one of the same name in the most similar surroundings.
    """

    def __init__(self, file: str, keys: Sequence[FoundKey], *, exact: bool) -> None:
        self._file = file
        self._keys = keys
        self._is_exact = exact

    def place(self, path: KeyPath) -> Place:
        """Return where the key at the end of `path` stands; the file alone when that is not known."""
        shortest = len(path) if self._is_exact else 1
        for length in range(len(path), shortest - 1, -1):
            wanted = path[len(path) - length :]
            for key in self._keys:
                if wanted and key.path[-length:] == wanted:
                    return Place(self._file, key.line, key.column)
        inside = next((key for key in self._keys if key.path[: len(path)] == path), None)
        return Place(self._file, inside.line, inside.column) if inside and path else Place(self._file)


def path_text(path: KeyPath) -> str:
    """Return `apps[0].env.PORT`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the whole file"
