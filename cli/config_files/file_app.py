"""Owns the form of an app as a configuration file has it, in our words. Pure; the user's shell."""

from typing import Any

import msgspec

from .places import Place
from .problems import Problem


class Origin(msgspec.Struct, frozen=True):
    """Where a setting was said.

    Attributes:
        place: of its key.
        note: how it was understood, where that may surprise: "3000, milliseconds"; else empty.
    """

    place: Place
    note: str = ""

    def __str__(self) -> str:
        return f"{self.place} ({self.note})" if self.note else str(self.place)


class FileApp(msgspec.Struct, kw_only=True):
    """One app of a file.

    Attributes:
        name: as the file says it; empty: made from the target.
        place: where it begins.
        settings: ours, by name, as AppConfig holds them; `env` is the whole of it.
        origins: of `settings`, by name.
        variables: where those in `env` were said, by name.
        problems: what is to be said.
        environment: which of `environments` is put over `env`; empty: none.
        environments: what the `env_NAME` say that it has, by NAME.
        autostart: false: it is not to run yet.
    """

    name: str
    place: Place
    settings: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    variables: dict[str, Origin] = {}
    problems: list[Problem] = []
    environment: str = ""
    environments: dict[str, dict[str, str]] = {}
    autostart: bool = True

    @property
    def is_bad(self) -> bool:
        """Whether there is an error in it."""
        return any(problem.is_error for problem in self.problems)
