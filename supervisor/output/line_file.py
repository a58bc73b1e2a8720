"""Owns appending whole lines to a file, whatever the disk does. Runs in the supervisor process, in a writer thread.

A full disk must cost lines and nothing else: they are counted, and the file goes on with a mark once there is room.
A file that was moved away is opened anew at its name within a second. It must never raise because of the disk.
"""

import contextlib
import fcntl
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..regular_file import open_regular

LOG_MODE = 0o640
LOOK_INTERVAL = 1.0
_openings = itertools.count()


@dataclass(frozen=True)
class Problem:
    """What happened to a file, for a log. `reason`: what the system said; "" when it is well again.

    `event` is log_not_writable, log_resumed or log_not_reopened.
    """

    event: str
    reason: str
    lost_lines: int


def open_log(path: Path) -> int:
    """Open a log file for appending, made with mode 0640 if it is new; return the descriptor.

    A symbolic link in its place is refused: as root we would write wherever it points. The descriptor holds a shared
    lock (flock(2)) by which everybody knows that the file is written: nobody compresses it then.

    Raises:
        OSError: as `open_regular`.
    """
    while True:
        fd = _open_or_create(path)
        with contextlib.suppress(OSError):  # not every file system has locks
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if is_at(path, fd):
            return fd
        os.close(fd)  # it was moved away in between: whoever did so may believe that nobody writes it


def _open_or_create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW
    while True:
        with contextlib.suppress(FileNotFoundError):
            return open_regular(path, flags)
        with contextlib.suppress(FileExistsError):
            fd = open_regular(path, flags | os.O_CREAT | os.O_EXCL, LOG_MODE)
            os.fchmod(fd, LOG_MODE)  # the umask is of the whole process, and a worker that starts now inherits it
            return fd


def is_at(path: Path, fd: int) -> bool:
    """Whether this path leads to this open file."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except OSError:
        return False


class LineFile:
    """One file; created at once.

    Args:
        path: its name.
        mark: the line that stands where so many lines were lost.
        on_problem: is told of each problem with the file, and of its end.
        twin_fd: another descriptor of this process; where it is the same file, it is led to the new one as well.

    Attributes:
        lost_lines: how many were lost since it was made.
        opening: another number each time that any file is opened: unlike a descriptor it is never used again.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        mark: Callable[[int], bytes],
        on_problem: Callable[[Problem], None],
        twin_fd: int | None = None,
    ) -> None:
        self.path = path
        self._twin_fd = twin_fd
        self._mark = mark
        self._on_problem = on_problem
        self._lost_lines = 0
        self.lost_lines = 0
        self._is_torn = False  # the file ends within a line
        self._next_look = time.monotonic() + LOOK_INTERVAL
        self._fd = open_log(path)
        self.opening = next(_openings)

    @property
    def fd(self) -> int:
        """The descriptor, borrowed until anything else is called; -1 after `close`."""
        return self._fd

    @property
    def size_bytes(self) -> int:
        """Size now; what is appended later begins there."""
        return os.fstat(self._fd).st_size

    def append(self, lines: bytes) -> None:
        """Append whole lines, with one write if the disk lets us. After `close` they go nowhere."""
        if self._fd < 0:
            return
        if time.monotonic() >= self._next_look:
            self.reopen_if_moved()
        if self._lost_lines and not self._mark_loss():
            self._count(lines.count(b"\n"))
            return
        self._write(lines)

    def lose(self, count: int) -> None:
        """So many lines stood here and are gone: set the mark, now or when the disk takes it."""
        if self._fd >= 0:
            self._count(count)
            self._mark_loss()

    def close(self) -> None:
        """Close the file. May be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def reopen_if_moved(self) -> None:
        """Open the file anew when its name leads to another one, or to none."""
        self._next_look = time.monotonic() + LOOK_INTERVAL
        if is_at(self.path, self._fd):
            return
        try:
            fd = open_log(self.path)
        except OSError as error:
            # The old file still takes the lines; whoever moved it knows where it is.
            self._on_problem(Problem("log_not_reopened", error.strerror or str(error), self._lost_lines))
            return
        self._lead_twin_to(fd)
        os.close(self._fd)
        self._fd, self.opening = fd, next(_openings)
        self._is_torn = False

    def _count(self, lost: int) -> None:
        self._lost_lines += lost
        self.lost_lines += lost

    def _write(self, lines: bytes, *, is_mark: bool = False) -> bool:
        written = 0
        try:
            while written < len(lines):
                written += os.write(self._fd, lines[written:] if written else lines)
        except OSError as error:
            self._is_torn = lines[:written][-1:] not in (b"", b"\n") or (written == 0 and self._is_torn)
            self._count(0 if is_mark else lines[written:].count(b"\n"))
            self._on_problem(Problem("log_not_writable", error.strerror or str(error), self._lost_lines))
            return False
        self._is_torn = False
        return True

    def _mark_loss(self) -> bool:
        lost = self._lost_lines
        if self._write((b"\n" if self._is_torn else b"") + self._mark(lost), is_mark=True):
            self._lost_lines = 0
            self._on_problem(Problem("log_resumed", "", lost))
            return True
        return False

    def _lead_twin_to(self, fd: int) -> None:
        if self._twin_fd is None:
            return
        with contextlib.suppress(OSError):  # it may be closed
            if os.path.samestat(os.fstat(self._twin_fd), os.fstat(self._fd)):
                os.dup2(fd, self._twin_fd)
