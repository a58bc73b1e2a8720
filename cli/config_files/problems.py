"""Owns what is to be said of a configuration file: errors, warnings and notes, each with its place. Pure; the shell."""

from typing import Literal

import msgspec

from .places import Place


class Problem(msgspec.Struct, frozen=True):
    """Something to be said of a place in a file, in one sentence.

    Attributes:
        severity: an error keeps the app from being started; a warning says that something has no effect that was
            meant to have one; a note what one may not expect.
    """

    severity: Literal["error", "warning", "note"]
    place: Place
    text: str

    @property
    def is_error(self) -> bool:
        """Whether the file is refused for it."""
        return self.severity == "error"

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def error(place: Place, text: str) -> Problem:
    """Return an error."""
    return Problem("error", place, text)


def warning(place: Place, text: str) -> Problem:
    """Return a warning."""
    return Problem("warning", place, text)


def note(place: Place, text: str) -> Problem:
    """Return a note."""
    return Problem("note", place, text)
