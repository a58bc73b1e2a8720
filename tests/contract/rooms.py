"""Owns how the contract tests read the table of rooms in docs/architecture.md. Reads only.

A row is `| floor | room | runs in | what |`, the room a folder or a file: `supervisor/workers/`, `cli/`.
"""

import re
from functools import cache

import msgspec

from .sources import ROOT

TABLE = ROOT / "docs" / "architecture.md"
ROW = re.compile(r"^\| (\d+) \| `([\w/.]+)` \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
PROCESSES = {"supervisor", "shell", "dispatcher", "worker", "any"}


class Room(msgspec.Struct, frozen=True):
    """A folder or file.

    Attributes:
        floor: a room imports rooms on lower floors only.
        path: relative to the root; of a folder with a slash at its end.
        runs_in: names of PROCESSES.
    """

    floor: int
    path: str
    runs_in: frozenset[str]

    @property
    def module(self) -> str:
        """The import name of the folder or file."""
        return ".".join(("fastlb", *self.path.removesuffix("/").removesuffix(".py").split("/")))


@cache
def rooms() -> tuple[Room, ...]:
    """Return all rows of the table."""
    return tuple(
        Room(int(floor), path, frozenset(word.strip() for word in runs_in.split(",")))
        for floor, path, runs_in in ROW.findall(TABLE.read_text())
    )


def room_of(module: str) -> Room | None:
    """Return the innermost room that a module, or a name in it, lies in; None: it is none of ours."""
    inside = [room for room in rooms() if module == room.module or module.startswith(room.module + ".")]
    return max(inside, key=lambda room: len(room.module), default=None)
