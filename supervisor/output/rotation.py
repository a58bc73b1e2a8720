"""Owns when a log file has had enough, and what becomes of those that were rotated away.

Runs in the supervisor process; compressing and deleting in a thread of its own, at the lowest priority. A file is
rotated by rename, never copied and cut: no line is lost. It must never raise because of the disk.
"""

import contextlib
import fcntl
import functools
import os
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..home.log_files import ROTATED_MARK, rotated_files
from ..home.log_index import file_number
from ..home.packed_log import pack
from ..settings.app_config import AppConfig
from ..settings.cron import last_time, next_time
from ..settings.rotation_times import NEVER as NEVER_ROTATED
from ..settings.rotation_times import PATTERNS
from . import wall_clock
from .event_log import EventLog
from .line_file import is_at

DEFAULT_MAX_BYTES = 10 << 20
DIGITS = 6
LOWEST_PRIORITY = 19
DAY = 86400.0
PARTIAL = ".gz.part"
CLOSE_SECONDS = 2.0


@dataclass(frozen=True)
class RotationRules:
    """When files are rotated, and how long what is rotated stays.

    Attributes:
        max_bytes: a file that would become larger is rotated; 0: whatever its size.
        interval: a file is rotated at such times: a word of the calendar, or a cron pattern.
        retain: how many rotated files of one name stay.
        retain_days: for how many days; 0: as long as `retain` lets them.
        compress: whether they are compressed.
    """

    max_bytes: int
    interval: str
    retain: int
    retain_days: int
    compress: bool

    @classmethod
    def of(cls, config: AppConfig) -> "RotationRules":
        """Take them from the settings of an app."""
        is_wanted_only = config.rotate_logs and not config.max_size and config.rotate_interval == NEVER_ROTATED
        return cls(
            max_bytes=DEFAULT_MAX_BYTES if is_wanted_only else config.max_size,
            interval=config.rotate_interval,
            retain=config.retain,
            retain_days=config.retain_days,
            compress=config.compress,
        )

    def is_due(self, size: int, more: int, began_in: float, now: float) -> bool:
        """Whether a file of `size` bytes is to be rotated before `more` are appended.

        Args:
            size, more: bytes. An empty file is never rotated.
            began_in: the `period` of what is in the file.
            now: seconds since the epoch.
        """
        if not size:
            return False
        return bool(self.max_bytes and size + more > self.max_bytes) or self.period(now) != began_in

    def period(self, moment: float) -> float:
        """Return the time at which what is written now had begun; always the same without an interval."""
        pattern = PATTERNS.get(self.interval, self.interval)
        return _periods(pattern).begin(moment) if pattern else 0.0


class Periods:
    """The times between those that a cron pattern names. It remembers the last one: each chunk of lines asks for it."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._current = (0.0, 0.0)

    def begin(self, moment: float) -> float:
        """Return when the period began in which this moment is."""
        begin, end = self._current
        if not begin <= moment < end:
            begin, end = last_time(self._pattern, moment), next_time(self._pattern, moment)
            self._current = (begin, end)
        return begin


@functools.cache
def _periods(pattern: str) -> Periods:
    return Periods(pattern)


NEVER = RotationRules(max_bytes=0, interval=NEVER_ROTATED, retain=0, retain_days=0, compress=False)


def rotated_name(path: Path, moment: float, latest: str) -> str:
    """Return the name that a file gets: `app-out__2026-03-01_12-00-00.log`, as pm2-logrotate's; sorted by time.

    `latest`: the last of the names in use; when it is of the same second, or later because the clock was put back, a
    number is added to it: `app-out__2026-03-01_12-00-00_000001.log`.
    """
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S", time.localtime(moment))
    name = f"{path.stem}{ROTATED_MARK}{stamp}{path.suffix}"
    if name > latest:
        return name
    stem, _, number = latest.removesuffix(path.suffix).rpartition("_")
    if len(number) != DIGITS:
        return f"{latest.removesuffix(path.suffix)}_{1:0{DIGITS}}{path.suffix}"
    return f"{stem}_{int(number) + 1:0{DIGITS}}{path.suffix}"


def rotate(path: Path, moment: float, last: Path | None) -> Path:
    """Rename a file out of the way; return its new name.

    `last`: what this returned last. A name that has become free meanwhile is not used again: by their names the files
    are in order.

    Raises:
        OSError: it cannot be renamed.
    """
    used = {file.name.removesuffix(".gz") for file in rotated_files(path)} | ({last.name} if last else set())
    target = path.with_name(rotated_name(path, moment, max(used, default="")))
    os.rename(path, target)
    return target


class RotatedFiles:
    """Compresses and deletes rotated files, one after the other, in a thread that lives while there is work.

    Args:
        rules: what stays, and how.
        log: is told what fails.
    """

    def __init__(self, rules: RotationRules, log: EventLog) -> None:
        self.rules = rules
        self._log = log
        self._waiting: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def tidy(self, path: Path) -> None:
        """Bring what was rotated away from `path` in order, soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="rotated logs", daemon=True)
            self._thread.start()
        self._waiting.put(path)

    def close(self) -> None:
        """Finish what waits, for at most CLOSE_SECONDS; what is not compressed by then stays as it is."""
        if self._thread:
            self._waiting.put(None)
            self._thread.join(CLOSE_SECONDS)
            self._thread = None

    def _work(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        while path := self._waiting.get():
            try:
                self._tidy(path)
            except OSError as error:
                self._log.warning("rotated_log_not_kept", file=error.filename or path, reason=error.strerror)

    def _tidy(self, path: Path) -> None:
        files = rotated_files(path)
        stay = files[-self.rules.retain :] if self.rules.retain else []
        if self.rules.retain_days:
            oldest = wall_clock.now() - self.rules.retain_days * DAY
            stay = [file for file in stay if file.stat().st_mtime >= oldest]
        for file in files:
            if file not in stay:
                file.unlink(missing_ok=True)
                partial_of(file).unlink(missing_ok=True)
            elif file.suffix == ".gz":
                file.with_suffix("").unlink(missing_ok=True)  # a supervisor was killed before it did so
            elif self.rules.compress:
                with contextlib.suppress(BlockingIOError):  # the next time
                    compress(file)


def partial_of(file: Path) -> Path:
    """Return where a file is compressed to; what lies there was left by a process that ended meanwhile."""
    return file.with_name(file.name + PARTIAL)


def compress(file: Path) -> None:
    """Replace a file by its gzip; whatever interrupts that leaves the file.

    Raises:
        BlockingIOError: another process still writes the file, or compresses it.
        OSError: it was not possible.
    """
    with open(file, "rb") as plain:
        fcntl.flock(plain, fcntl.LOCK_EX | fcntl.LOCK_NB)  # whoever writes it has a lock on it: see open_log
        if not is_at(file, plain.fileno()):
            return  # another process has compressed it
        _pack(plain, partial_of(file))
        os.rename(partial_of(file), file.with_name(file.name + ".gz"))
        file.unlink()


def _pack(plain: BinaryIO, target: Path) -> None:
    status = os.fstat(plain.fileno())
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as raw:
            pack(plain, raw, file_number(status), wall_clock.now())
            raw.flush()
            os.fchmod(raw.fileno(), status.st_mode & 0o777)
            os.fsync(raw.fileno())
        os.utime(target, (status.st_atime, status.st_mtime))
    except BaseException:
        target.unlink(missing_ok=True)
        raise
