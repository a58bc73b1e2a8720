"""Owns the files in which the Python workers of an app count together (`metrics_app`), and what becomes of dead ones'.

prometheus-client writes one file for each process and kind (its multiprocess mode). What a process that has ended has
counted is added to files of ours, so that sums go on and files do not pile up; its live gauges, and its gauges of each
process alone, are gone with it. Runs in the supervisor process; reading and adding are for threads. It must never
believe that a file is whole, and never read more than it has said.
"""

import asyncio
import contextlib
import fcntl
import json
import operator
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..home.paths import AppPaths
from ..output.event_log import EventLog
from .directories import MARK, Directory, files_in, gone_directory, known_directories

if TYPE_CHECKING:
    from prometheus_client import Metric

ENDING = ".db"
MOST_BYTES = 16 << 20  # of a file
MOST_READ_BYTES = 32 << 20  # of all files, for one answer
PAIR_BYTES = 28  # of a value in a file, besides its key
# What a gauge of processes together is, of each of its modes that outlast a process.
LASTING_GAUGES: dict[str, Callable[[float, float], float]] = {"max": max, "min": min, "sum": operator.add}
MOST_RECENT = "mostrecent"
GONE_PID = "0"

# A process is the supervisor of one app, but during an update there are two of them: flock(2).
_one_at_a_time = threading.Lock()

_HEAD, _LENGTH, _VALUE = struct.Struct("ii"), struct.Struct("i"), struct.Struct("dd")

Values = dict[str, tuple[float, float]]  # by key: the value, and when it was set


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
        """Forget all that was counted, and who counted."""
        for directory in (*self.directories, self.gone):
            with files_in(directory) as files:
                _unlink(files)
        _unlink(self.gone.path / f"{MARK}{directory.uid}" for directory in self.directories)

    def leave_nothing_outside(self, app_dir: Path) -> None:
        """Remove what is not in the directory of the app, and so would stay when that is removed."""
        for directory in self.directories:
            if app_dir not in directory.path.parents:
                with files_in(directory) as files:
                    _unlink(files)
                with contextlib.suppress(OSError):
                    directory.path.rmdir()

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

    def read(self) -> "tuple[list[Metric], list[str]]":
        """Return the metrics of all processes together, as prometheus-client joins them, and what is missing."""
        from prometheus_client.multiprocess import MultiProcessCollector

        with self._alone(), contextlib.ExitStack() as held:
            missing = self._add_up_gone()
            paths = [
                path
                for directory in (*self.directories, self.gone)
                for path in held.enter_context(files_in(directory))
            ]
            missing += [_too_large(path.name) for path in paths if _size_of(path) > MOST_BYTES]
            whole = _whole(paths)
            if whole is None:
                return [], [*missing, f"the app counts more than {MOST_READ_BYTES >> 20} MiB: nothing of it is told"]
            return list(MultiProcessCollector.merge(whole, accumulate=True)), missing

    def _add_up_gone(self) -> list[str]:
        lost = []
        for directory in self.directories:
            with files_in(directory) as files:
                for path in files:
                    pid = path.name.removesuffix(ENDING).rpartition("_")[2]
                    if pid.isdecimal() and os.path.exists(f"/proc/{pid}"):
                        continue
                    rule = _rule_for(path.name)
                    try:
                        lost += [sentence for sentence in [rule and self._add(path, rule)] if sentence]
                    except OSError as error:  # it stays, and is tried again
                        lost.append(f"{path.name}, of an ended process, waits to be added up: {error.strerror}")
                    else:
                        _unlink([path])
        return lost

    def _add(self, path: Path, rule: str) -> str:
        """Add a file to ours; return what became of it instead."""
        if _size_of(path) > MOST_BYTES:
            return _too_large(path.name)
        values = values_in(path)
        if not values:
            return ""
        target = self.gone.path / f"{path.name.removesuffix(ENDING).rpartition('_')[0]}_{GONE_PID}{ENDING}"
        data = packed(joined(values_in(target) or {}, values, rule))
        if len(data) > MOST_BYTES:
            return f"{path.name}, of an ended process, is lost: all ended ones together have counted too much"
        _replace(target, data)
        return ""


async def add_up_ended(paths: AppPaths, log: EventLog) -> None:
    """Add up what the processes that have ended have counted, in a thread; the log is told of what could not be."""
    files = CountingFiles.of(paths)
    if files.directories:
        try:
            for reason in await asyncio.to_thread(files.add_up_gone):
                log.warning("own_metrics_missing", reason=reason)
        except OSError as error:
            log.warning("own_metrics_missing", reason=error)


def joined(before: Values, after: Values, rule: str) -> Values:
    """Return what two processes have counted together; `rule`: sum, max, min or mostrecent."""
    found = dict(before)
    for key, (value, at) in after.items():
        if key not in found:
            found[key] = (value, at)
        elif rule == MOST_RECENT:
            found[key] = max(found[key], (value, at), key=lambda one: one[1])
        else:
            found[key] = (LASTING_GAUGES[rule](found[key][0], value), 0.0)
    return found


def values_in(path: Path) -> Values | None:
    """Return what a file holds; None: it is no whole file of prometheus-client's."""
    from prometheus_client.mmap_dict import MmapedDict

    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            return None
        whole = MmapedDict.read_all_values_from_file(f"/proc/self/fd/{fd}")
        values = {key: (value, at) for key, value, at, _ in whole}
        return values if all(_is_key(key) for key in values) else None
    except Exception:  # noqa: BLE001 - a worker may have written anything
        return None
    finally:
        os.close(fd)


def packed(values: Values) -> bytes:
    """Return a file in prometheus-client's format (mmap_dict.py)."""
    data = bytearray(_HEAD.size)
    for key, (value, at) in values.items():
        text = key.encode()
        data += _LENGTH.pack(len(text)) + text + b" " * (8 - (len(text) + _LENGTH.size) % 8) + _VALUE.pack(value, at)
    _HEAD.pack_into(data, 0, len(data), 0)
    return bytes(data)


def _whole(paths: Sequence[Path]) -> list[str] | None:
    """Return those that are whole; None: they are too much together."""
    whole, read = [], 0
    for path in paths:
        values = values_in(path)
        if values is not None:
            whole.append(str(path))
            read += sum(map(len, values)) + PAIR_BYTES * len(values)
        if read > MOST_READ_BYTES:
            return None
    return whole


def _is_key(text: str) -> bool:
    family, name, labels, meaning = json.loads(text)
    if "le" in labels:
        float(labels["le"])  # as whoever joins them reads it
    return isinstance(labels, dict) and all(isinstance(one, str) for one in (family, name, meaning, *labels.values()))


def _rule_for(name: str) -> str:
    """Return how values of a process that has ended are added to others'; "": they are not."""
    kind, _, rest = name.partition("_")
    if kind in ("counter", "histogram", "summary"):
        return "sum"
    mode = rest.partition("_")[0]
    return mode if kind == "gauge" and (mode in LASTING_GAUGES or mode == MOST_RECENT) else ""


def _too_large(name: str) -> str:
    return f"{name} is left out: it is above {MOST_BYTES >> 20} MiB"


def _size_of(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _unlink(paths: "Iterator[Path] | Sequence[Path]") -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and not by a map as the library does: a full disk would end this process."""
    partial = path.with_suffix(".part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        _unlink([partial])
        raise
