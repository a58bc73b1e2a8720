"""Owns what whatever takes the workers' lines can do, be it files or a socket. Runs in the supervisor process."""

from typing import NamedTuple, Protocol

from .line_format import Origin


class FileEnd(NamedTuple):
    """Where a file ends. `device`, `inode`: which file."""

    device: int
    inode: int
    size_bytes: int


class LogSink(Protocol):
    """Where lines end. All is called by one thread, which may hang in it, but for what any thread may ask."""

    @property
    def has_files_per_process(self) -> bool:
        """Whether `forget` has anything to do. Any thread may ask."""

    def append(self, origin: Origin, lines: bytes) -> None:
        """Append whole lines. Never raises because of disk or network."""

    def lose(self, origin: Origin, count: int) -> None:
        """So many lines were dropped: say so in their place."""

    def lost_lines(self) -> dict[str, int]:
        """Return how many lines are missing where, if any are. Any thread may ask."""

    def ends(self) -> list[FileEnd]:
        """Return where each open file ends now."""

    def forget(self, worker: int, pid: int) -> None:
        """Let go of what was only for a process that has ended."""

    def reopen_if_moved(self) -> None:
        """Look whether files were moved away."""

    def close(self) -> None:
        """Let go of everything."""
