"""Owns the index of an app's log files: which part of which file was written when, and by whom. Supervisor and shell.

The files themselves are what the workers wrote and nothing else. The index is a ring of records of RECORD_BYTES in one
file of INDEX_BYTES; each says from where in a file on lines are of one origin and time, up to the next one of the same
file. Files are known by device and inode, so that a renamed one is found. What was truncated, or is another file with a
number that was used before, is known by records that begin anew. The second half keeps one record a second and file for
longer: times, when the first half has forgotten by whom.
"""

import contextlib
import os
import struct
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..regular_file import open_regular

HEADER = b"fastlb log index, version 1\n".ljust(32)
RECORD = struct.Struct("<QQQIHBx")  # time in microseconds, file, start in bytes, pid, worker, stream
RECORD_BYTES = RECORD.size
# Slots are counted over both halves; the header takes the first.
DETAILED_SLOTS = range(1, 1 << 15)
LASTING_SLOTS = range(1 << 15, 1 << 16)
INDEX_BYTES = LASTING_SLOTS.stop * RECORD_BYTES
STREAM_NUMBERS: dict[Literal["out", "err", "access", ""], int] = {"": 0, "out": 1, "err": 2, "access": 3}
_STREAMS = {number: stream for stream, number in STREAM_NUMBERS.items()}
_WORDS = RECORD_BYTES // 8
MICROSECONDS = 1_000_000
_Record = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class Run:
    """Lines that were written together.

    Attributes:
        time: seconds since the epoch.
        start: where they begin in the file, in bytes.
        worker, pid: who wrote them; None and 0: it is not known.
        stream: "": it is not known.
    """

    time: float
    start: int
    worker: int | None
    pid: int
    stream: Literal["out", "err", "access", ""]


class Runs:
    """What the index says of one file."""

    def __init__(self, runs: list[Run]) -> None:
        self._runs = runs
        self._starts = [run.start for run in runs]

    def at(self, offset: int) -> Run | None:
        """Return the run that a line at `offset` bytes is of; None: it is older than the index."""
        number = bisect_right(self._starts, offset) - 1
        return self._runs[number] if number >= 0 else None


def file_number(status: os.stat_result) -> int:
    """Return what a file is called in the index, in 64 bits."""
    return (status.st_ino ^ (status.st_dev * 0x9E3779B97F4A7C15)) & 0xFFFFFFFFFFFFFFFF


def latest_slot(content: bytes, slots: range) -> tuple[int, int]:
    """Return the slot that was written last, and its time in microseconds; (the one before the first, 0): none was."""
    words = memoryview(content[: len(content) // RECORD_BYTES * RECORD_BYTES]).cast("Q")
    times = words[slots.start * _WORDS : slots.stop * _WORDS : _WORDS].tolist()
    latest = max(times, default=0)
    return (slots.start + times.index(latest), latest) if latest else (slots.start - 1, 0)


def read_index(path: Path) -> bytes:
    """Return what is in the index; b"": there is none that can be read."""
    try:
        with open(open_regular(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            content = file.read(INDEX_BYTES)
    except OSError:
        return b""
    return content if content.startswith(HEADER) else b""


class Index:
    """What an index said at one moment. `content`: as `read_index` returns it."""

    def __init__(self, content: bytes) -> None:
        self._halves = [_Half(content, slots) for slots in (LASTING_SLOTS, DETAILED_SLOTS)]
        # Since when every run is in the detailed half, in microseconds.
        self._detailed_since = self._halves[1].oldest_time()

    def runs(self, number: int) -> Runs | None:
        """Return what it says of the file with this number; None: it does not know it."""
        # A record that is in both halves is the detailed one in the end: the sort is stable.
        records = sorted((record for half in self._halves for record in half.records(number)), key=_time_of)
        runs: list[Run] = []
        for time, _, start, pid, worker, stream in records:
            while runs and runs[-1].start >= start:
                runs.pop()
            is_known = stream and time >= self._detailed_since
            moment = time / MICROSECONDS
            known = Run(moment, start, worker, pid, _STREAMS.get(stream, ""))
            runs.append(known if is_known else Run(moment, start, None, 0, ""))
        return Runs(runs) if runs else None


class _Half:
    """The records in one half of an index."""

    def __init__(self, content: bytes, slots: range) -> None:
        part = content[slots.start * RECORD_BYTES : slots.stop * RECORD_BYTES]
        self._part = part[: len(part) // RECORD_BYTES * RECORD_BYTES]
        self._words = memoryview(self._part).cast("Q")
        self._numbers: list[int] = self._words[1::_WORDS].tolist()

    def records(self, number: int) -> list[_Record]:
        """Return those of one file, in no order."""
        found: list[_Record] = []
        at = -1
        with contextlib.suppress(ValueError):  # there is no other one
            while True:
                at = self._numbers.index(number, at + 1)
                found.append(RECORD.unpack_from(self._part, at * RECORD_BYTES))
        return found

    def oldest_time(self) -> int:
        """Return the time of the oldest record, in microseconds, if older ones were overwritten; else 0."""
        times: list[int] = self._words[::_WORDS].tolist()
        if not times or 0 in times or len(times) < len(DETAILED_SLOTS):
            return 0
        return min(times)


def _time_of(record: _Record) -> int:
    return record[0]
