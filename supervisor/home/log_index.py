"""Owns the index of an app's log files: which part of which file was written when, and by whom. Supervisor and shell.

The files themselves are what the workers wrote and nothing else. The index is a ring of records of RECORD_BYTES in one
file of INDEX_BYTES; each says from where in a file on lines are of one origin and time, up to the next one of the same
file. Files are known by device and inode, so that a renamed one is found. What was truncated, or is another file with a
number that was used before, is known by records that begin anew. The second half keeps one record a second and file for
longer: times, when the first half has forgotten by whom.
"""

import os
import struct
from bisect import bisect_right
from dataclasses import dataclass
from operator import lt
from pathlib import Path
from typing import Literal

from ..regular_file import open_regular

HEADER = b"fastlb log index, version 1\n".ljust(32)
RECORD = struct.Struct("=QQQIHBx")  # time in microseconds, file, start in bytes, pid, worker, stream
RECORD_BYTES = RECORD.size
# Slots are counted over both halves; the header takes the first.
DETAILED_SLOTS = range(1, 1 << 15)
LASTING_SLOTS = range(1 << 15, 1 << 16)
INDEX_BYTES = LASTING_SLOTS.stop * RECORD_BYTES
STREAM_NUMBERS: dict[Literal["out", "err", "access", ""], int] = {"": 0, "out": 1, "err": 2, "access": 3}
_STREAMS = {number: stream for stream, number in STREAM_NUMBERS.items()}
_WORDS = RECORD_BYTES // 8
MICROSECONDS = 1_000_000
# Time in microseconds, start in bytes, and where the record is in its half; -1: it is too old to say by whom.
_Entry = tuple[int, int, int]


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
    """What the index says of one file. `entries`: the runs, by start; `records`: the detailed half."""

    def __init__(self, entries: list[_Entry], records: bytes) -> None:
        self._entries = entries
        self._records = records
        self._starts = [start for _, start, _ in entries]

    def at(self, offset: int) -> Run | None:
        """Return the run that a line at `offset` bytes is of; None: it is older than the index."""
        number = bisect_right(self._starts, offset) - 1
        if number < 0:
            return None
        time, start, record_at = self._entries[number]
        if record_at >= 0:
            _, _, _, pid, worker, stream = RECORD.unpack_from(self._records, record_at)
            if stream:
                return Run(time / MICROSECONDS, start, worker, pid, _STREAMS.get(stream, ""))
        return Run(time / MICROSECONDS, start, None, 0, "")


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
        self._detailed = _Half(content, DETAILED_SLOTS)
        self._lasting = _Half(content, LASTING_SLOTS)

    def runs(self, number: int, until: int | None = None) -> Runs | None:
        """Return what it says of the file with this number; None: it does not know it.

        `until`: up to when that was this file, in microseconds since the epoch; None: it still is.
        """
        since = self._detailed.oldest_time()
        entries = [(time, start, -1) for time, start, _ in self._lasting.entries(number) if time < since]
        entries += self._detailed.entries(number)
        if until is not None:
            entries = [entry for entry in entries if entry[0] <= until]
        entries.sort(key=_time_of)
        starts = [start for _, start, _ in entries]
        if not all(map(lt, starts, starts[1:])):
            entries = _without_void(entries)
        return Runs(entries, self._detailed.records) if entries else None


class _Half:
    """The records in one half of an index."""

    def __init__(self, content: bytes, slots: range) -> None:
        part = content[slots.start * RECORD_BYTES : slots.stop * RECORD_BYTES]
        self.records = part[: len(part) // RECORD_BYTES * RECORD_BYTES]
        words = memoryview(self.records).cast("Q")
        self._times: list[int] = words[0::_WORDS].tolist()
        self._numbers: list[int] = words[1::_WORDS].tolist()
        self._starts: list[int] = words[2::_WORDS].tolist()
        self._known = frozenset(self._numbers)  # thousands of files may be asked for that it does not know

    def entries(self, number: int) -> list[_Entry]:
        """Return those of one file, in no order."""
        if number not in self._known:
            return []
        places = range(0, len(self.records), RECORD_BYTES)
        rows = zip(self._times, self._numbers, self._starts, places, strict=True)
        return [(time, start, place) for time, found, start, place in rows if found == number]

    def oldest_time(self) -> int:
        """Return the time of the oldest record, in microseconds, if older ones were overwritten; else 0."""
        if len(self._times) < len(DETAILED_SLOTS) or 0 in self._times:
            return 0
        return min(self._times)


def _without_void(entries: list[_Entry]) -> list[_Entry]:
    """Leave out what was true before the file was truncated, or another had its number."""
    left: list[_Entry] = []
    for entry in entries:
        while left and left[-1][1] >= entry[1]:
            left.pop()
        left.append(entry)
    return left


def _time_of(entry: _Entry) -> int:
    return entry[0]
