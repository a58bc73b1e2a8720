"""Owns the files in which the Python workers of an app count together (`metrics_app`), and what becomes of dead ones'.

prometheus-client writes one file for each process and kind (its multiprocess mode). What a process that has ended has
counted is added to files of ours, so that sums go on and files do not pile up; its live gauges, and its gauges of each
process alone, are gone with it. Runs in the supervisor process; reading and adding are for threads. It must never
read more than it has said.
"""

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..control.protocol import OwnFamily
from ..home.paths import AppPaths
from ..output.event_log import EventLog
from .count_file import MOST_BYTES, TooLarge, packed, replace, size_of, values_in
from .directories import (
    MARK,
    Directory,
    files_in,
    gone_directory,
    known_directories,
    leave_nothing_outside,
    unlink_files,
)
from .joining import JoinedCounts, joined, lasting_rule, parts_of

MOST_READ_BYTES = 32 << 20  # of all files, for one answer
TOO_MUCH = f"the app counts more than {MOST_READ_BYTES >> 20} MiB: nothing of it is told"
GONE_PID = "0"

# A process is the supervisor of one app, but during an update there are two of them: flock(2).
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class CountingFiles:
    """Where the files are.

    Attributes:
        directories: those of the workers, theirs to write.
        gone: that of what ended processes have counted, ours alone.
    """

    directories: Sequence[Directory]
    gone: Directory

    @classmethod
    def of(cls, paths: AppPaths) -> "CountingFiles":
        """Return those of an app; without `directories`: nobody counts."""
        return cls(known_directories(paths), gone_directory(paths))

    def remove(self) -> None:
        """Forget all that was counted, and who counted: a killed supervisor has left it, maybe of other users."""
        for directory in (*self.directories, self.gone):
            unlink_files(directory)
        leave_nothing_outside(self.directories, self.gone.path.parent)
        for directory in self.directories:
            with contextlib.suppress(OSError):
                (self.gone.path / f"{MARK}{directory.uid}").unlink()

    def add_up_gone(self) -> list[str]:
        """Add what processes that have ended have counted to files of ours, and remove theirs.

        Returns what could not be added, a sentence for each file.
        """
        with self._alone():
            return self._add_up_gone()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with _one_at_a_time:
            self.gone.path.mkdir(mode=0o700, exist_ok=True)
            fd = os.open(self.gone.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                yield
            finally:
                os.close(fd)

    def read(self) -> tuple[list[OwnFamily], list[str]]:
        """Return the metrics of all processes together, and what is missing."""
        counts, read = JoinedCounts(), 0
        with self._alone():
            missing = self._add_up_gone()
            for path in self._paths(missing):
                try:
                    values = values_in(path) or {}
                except TooLarge as error:
                    missing.append(str(error))
                    continue
                read += size_of(values)
                if read > MOST_READ_BYTES:
                    return [], [*missing, TOO_MUCH]
                counts.add(path.name, values)
        return list(counts.families()), missing

    def _paths(self, missing: list[str]) -> Iterator[Path]:
        for directory in (*self.directories, self.gone):
            with files_in(directory) as files:
                missing += [files.missing] if files.missing else []
                yield from files.paths

    def _add_up_gone(self) -> list[str]:
        lost = []
        for directory in self.directories:
            with files_in(directory) as files:
                for path in files.paths:
                    pid = parts_of(path.name)[-1]
                    if os.path.exists(f"/proc/{pid}"):
                        continue
                    try:
                        lost += self._add(path)
                    except OSError as error:  # it stays, and is tried again
                        lost.append(f"{path.name}, of an ended process, waits to be added up: {error.strerror}")
                    else:
                        with contextlib.suppress(OSError):
                            path.unlink()
        return lost

    def _add(self, path: Path) -> list[str]:
        """Add a file to ours, if it outlasts its process; return what became of it instead."""
        rule = lasting_rule(path.name)
        try:
            values = values_in(path) if rule else None
        except TooLarge as error:
            return [str(error)]
        if not values:
            return []
        target = self.gone.path / f"{path.name.rpartition('_')[0]}_{GONE_PID}.db"
        data = packed(joined(values_in(target) or {}, values, rule))
        if len(data) > MOST_BYTES:
            return [f"{path.name}, of an ended process, is lost: all ended ones together have counted too much"]
        replace(target, data)
        return []


async def add_up_ended(paths: AppPaths, log: EventLog) -> None:
    """Add up what the processes that have ended have counted, in a thread; the log is told of what could not be."""
    files = CountingFiles.of(paths)
    if files.directories:
        try:
            for reason in await asyncio.to_thread(files.add_up_gone):
                log.warning("own_metrics_missing", reason=reason)
        except OSError as error:
            log.warning("own_metrics_missing", reason=error)
