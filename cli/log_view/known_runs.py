"""Owns what the index of an app's log files says of the files that are read. Runs in the user's shell; reads only.

The index is read once, and again for a file that was written since: whoever reads it too early would take lines of one
worker for those of another.
"""

from pathlib import Path

from ...supervisor.home.log_index import Index, Runs, read_index
from ...supervisor.output import wall_clock
from .chains import Part

# A file system notes when a file was written by a clock that may be this much behind.
CLOCK_TOLERANCE = 0.1


class KnownRuns:
    """What is known of the log files of one app. `path`: of the index, which need not be there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = Index(b"")
        self._read_at = 0.0

    def of(self, part: Part) -> Runs | None:
        """Return the runs of an open file; None: nothing is known of it."""
        if part.modified_at >= self._read_at - CLOCK_TOLERANCE:
            self._read_at = wall_clock.now()
            self._index = Index(read_index(self._path))
        return self._index.runs(part.number, part.indexed_until)
