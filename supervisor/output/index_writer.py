"""Owns writing the index of log files (`home/log_index.py`) while lines are written. Runs in the supervisor process, in
the thread that writes them.

It costs a system call a chunk of lines, and two more where the writer changes, or after RUN_SECONDS. It must never
raise: without an index logs are the same, and are read with less knowledge.

While a supervisor is replaced, two of them write to one index: each looks at the next slot before it takes it, goes on
behind what the other one has written there, and from then on holds a lock meanwhile. It never waits for the lock.
"""

import contextlib
import fcntl
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..home.log_index import (
    DETAILED_SLOTS,
    HEADER,
    INDEX_BYTES,
    LASTING_SLOTS,
    MICROSECONDS,
    RECORD,
    RECORD_BYTES,
    STREAM_NUMBERS,
    file_number,
    latest_slot,
)
from ..regular_file import open_regular
from . import wall_clock
from .line_format import Origin

RUN_SECONDS = 0.01
LASTING_SECONDS = 1.0
# Times of the future that are no more than this are a clock that was put back a little: they are gone on from.
MOST_AHEAD_SECONDS = 3600.0
MOST_FILES = 4096
MOST_SEEN = 256


@dataclass
class _Known:
    """An open file: what it is called in the index, where it ended, and when what was recorded of it.

    `opening`: of `LogIndex.note`. `turn`: in which turn of an origin; times in microseconds.
    """

    number: int
    end: int
    opening: int
    turn: int = -1
    time: int = 0
    lasting_time: int = 0


class _Foreign(NamedTuple):
    """A record of another supervisor. `time` in microseconds; `who`: pid, worker, stream."""

    time: int
    number: int
    start: int
    who: tuple[int, int, int]


class LogIndex:
    """Notes who wrote what into log files.

    Args:
        path: of the index; None: there is none.
        on_failure: is told once why it is not written.
        now: seconds since the epoch.
    """

    def __init__(
        self, path: Path | None, on_failure: Callable[[str], None], now: Callable[[], float] = wall_clock.now
    ) -> None:
        self._on_failure = on_failure
        self._now = now
        self._fd = -1
        self._files: dict[int, _Known] = {}
        self._origin: Origin | None = None
        self._turn = 0
        self._time = 0
        self._detailed = self._lasting = self._lasting_time = 0
        self._has_company = False
        self._seen: deque[_Foreign] = deque(maxlen=MOST_SEEN)
        if path:
            try:
                self._open(path)
            except OSError as error:
                self._fail(error)

    def note(self, fd: int, opening: int, origin: Origin, size_bytes: int) -> None:
        """Lines of one origin, so many bytes, were just appended to the open file `fd`, all of them.

        `opening`: another number each time that a file is opened, since descriptors are used again.
        """
        if self._fd < 0 or fd < 0:
            return
        try:
            self._note(fd, opening, origin, size_bytes)
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """Close the index. Nothing is noted any more."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _fail(self, error: OSError) -> None:
        self.close()
        self._on_failure(error.strerror or str(error))

    def _open(self, path: Path) -> None:
        fd = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            content = os.pread(fd, INDEX_BYTES, 0)
            self._detailed, latest = latest_slot(content, DETAILED_SLOTS)
            self._lasting, self._lasting_time = latest_slot(content, LASTING_SLOTS)
            if not content.startswith(HEADER) or latest > (self._now() + MOST_AHEAD_SECONDS) * MICROSECONDS:
                os.ftruncate(fd, 0)
                os.pwrite(fd, HEADER, 0)
                self._detailed, self._lasting = DETAILED_SLOTS.start - 1, LASTING_SLOTS.start - 1
                self._lasting_time = latest = 0
        except OSError:
            os.close(fd)
            raise
        self._fd, self._time = fd, latest

    def _note(self, fd: int, opening: int, origin: Origin, size_bytes: int) -> None:
        try:
            end = os.lseek(fd, 0, os.SEEK_CUR)
        except OSError:
            return  # it is no file
        known = self._files.get(fd)
        if known is None or known.opening != opening or end != known.end + size_bytes:
            known = self._look(fd, end, size_bytes)
            known.opening = opening
        start, known.end = known.end, end
        if origin is not self._origin:
            self._origin = origin
            self._turn += 1
        now = max(int(self._now() * MICROSECONDS), self._time + 1)
        if known.turn != self._turn or now - known.time >= RUN_SECONDS * MICROSECONDS:
            known.turn = self._turn
            known.time = self._record(known, start, origin)

    def _look(self, fd: int, end: int, size_bytes: int) -> _Known:
        """Return what is known of a file that is new, was cut, or is written by others too."""
        number = file_number(os.fstat(fd))
        known = self._files.get(fd)
        start = max(0, end - size_bytes)
        if known is None or known.number != number or start < known.end:
            if len(self._files) >= MOST_FILES:
                self._files.clear()
            known = self._files[fd] = _Known(number, start, 0)
            self._forget(number)
        else:
            others, known.end, known.turn = known.end, start, -1
            self._catch_up()
            noted = [each.start for each in self._seen if each.number == number and each.start >= others]
            if min(noted, default=start) > others:
                self._record(known, others, None)
        return known

    def _forget(self, number: int) -> None:
        """Forget what others have recorded of a file that is new here, or was cut."""
        if self._seen:
            self._seen = deque((each for each in self._seen if each.number != number), MOST_SEEN)

    def _record(self, known: _Known, start: int, origin: Origin | None) -> int:
        """Record from where on lines are of an origin, None: nobody knows whose; return the time of the record."""
        who = (origin.pid, origin.worker, STREAM_NUMBERS.get(origin.stream, 0)) if origin else (0, 0, 0)
        with self._turn_taken():
            # Of two records the later one counts for all that follows it: what lies behind is recorded once more.
            self._catch_up()
            later = [each for each in self._seen if each.number == known.number and each.start > start]
            time = self._append(known.number, start, who)
            for each in later:
                self._append(each.number, each.start, each.who)
            if time - known.lasting_time >= LASTING_SECONDS * MICROSECONDS:
                known.lasting_time = time
                self._append_lasting(RECORD.pack(time, known.number, start, *who))
        return time

    def _append(self, number: int, start: int, who: tuple[int, int, int]) -> int:
        self._time = max(int(self._now() * MICROSECONDS), self._time + 1)
        self._detailed = _following(self._detailed, DETAILED_SLOTS)
        os.pwrite(self._fd, RECORD.pack(self._time, number, start, *who), self._detailed * RECORD_BYTES)
        return self._time

    def _append_lasting(self, record: bytes) -> None:
        self._lasting = _following(self._lasting, LASTING_SLOTS)
        while (other := self._read(self._lasting)) and other.time > self._lasting_time:
            self._lasting_time = other.time
            self._lasting = _following(self._lasting, LASTING_SLOTS)
        os.pwrite(self._fd, record, self._lasting * RECORD_BYTES)
        self._lasting_time = max(self._time, self._lasting_time)

    def _catch_up(self) -> None:
        """Go on behind what another supervisor has recorded."""
        latest = (self._now() + MOST_AHEAD_SECONDS) * MICROSECONDS
        for _ in DETAILED_SLOTS:
            slot = _following(self._detailed, DETAILED_SLOTS)
            record = self._read(slot)
            if record is None or not self._time < record.time <= latest:  # empty, of the last time round, or damaged
                break
            self._detailed, self._time, self._has_company = slot, record.time, True
            self._seen.append(record)

    def _read(self, slot: int) -> _Foreign | None:
        content = os.pread(self._fd, RECORD_BYTES, slot * RECORD_BYTES)
        if len(content) < RECORD_BYTES:
            return None
        time, number, start, *who = RECORD.unpack(content)
        return _Foreign(time, number, start, (who[0], who[1], who[2]))

    @contextlib.contextmanager
    def _turn_taken(self) -> Iterator[None]:
        """Hold the lock, if another supervisor writes as well and does not hold it."""
        is_held = False
        if self._has_company:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_held = True
        try:
            yield
        finally:
            if is_held:
                fcntl.flock(self._fd, fcntl.LOCK_UN)


def _following(slot: int, slots: range) -> int:
    return slot + 1 if slot + 1 < slots.stop else slots.start
