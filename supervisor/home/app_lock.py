"""Owns the lock of a running supervisor: who holds it runs the app, and nobody else. Supervisor and shell.

Nothing else in $FASTLB_HOME says that an app runs. The holder writes who it is into the file, which counts only while
the lock is held: a pid alone would lie after a crash. It must never follow a symbolic link.
"""

import contextlib
import fcntl
import os
import select
import struct
import sys
from pathlib import Path
from typing import Self

from ..errors import FastlbError
from ..regular_file import NotRegularFile, open_regular, read_regular
from .paths import AppPaths, prepare_app_dir

HOLDER_BYTES = 48


class AppLock:
    """The proof that a supervisor of this app is alive: a lock that the kernel drops with the process.

    An open file description lock (F_OFD_SETLK, fcntl(2)), because unlike flock(2) it can be looked at
    without being taken: a question never makes a start fail.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def acquire(cls, paths: AppPaths) -> Self | None:
        """Take the lock, or return None when another process has it. The directory must exist.

        Raises:
            FastlbError: the file cannot be opened.
            FileNotFoundError: there is no such directory.
        """
        while True:
            try:
                fd = _open_lock(paths.lock, os.O_RDWR | os.O_CREAT)
            except NotRegularFile as error:
                raise FastlbError(f"cannot lock {paths.lock}: {error.strerror}") from error
            try:
                fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
            except BlockingIOError:
                os.close(fd)
                return None
            if _is_still(paths.lock, fd):
                _write_holder(fd)
                return cls(fd)
            # A `delete` removed the directory between our open and our lock: this lock guards nothing.
            os.close(fd)
            prepare_app_dir(paths)

    @classmethod
    def inherit(cls, fd: int) -> Self:
        """Take over the lock that the process which started this one holds; `fd` is owned from here on."""
        lock = cls.share(fd)
        lock.name_holder()
        return lock

    @classmethod
    def share(cls, fd: int) -> Self:
        """Hold the lock together with the process that has it; `fd` is owned from here on."""
        os.set_inheritable(fd, False)
        return cls(fd)

    def name_holder(self) -> None:
        """Write down that this process runs the app."""
        _write_holder(self._fd)

    def fileno(self) -> int:
        """Return the descriptor, which stays this object's: a process that inherits it holds the lock as well."""
        return self._fd

    def release(self) -> None:
        """Let another process have the lock. Not needed before exit."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def is_running(paths: AppPaths) -> bool:
    """Whether a supervisor of this app lives, even if it does not answer. Changes nothing.

    Raises:
        FastlbError: the lock cannot be opened.
    """
    try:
        fd = _open_lock(paths.lock, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError, NotRegularFile):
        return False
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
    finally:
        os.close(fd)
    return int.from_bytes(answer[:2], sys.byteorder) != fcntl.F_UNLCK


class LockHolder:
    """The process that holds a lock; owns `pidfd` until `close`, so that a signal reaches nobody else."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.pidfd = pidfd

    @property
    def has_exited(self) -> bool:
        """Whether the process is at its end, although nobody may have collected it yet."""
        watch = select.poll()
        watch.register(self.pidfd, select.POLLIN)
        return bool(watch.poll(0))

    def close(self) -> None:
        """Close the pidfd."""
        os.close(self.pidfd)


def find_holder(paths: AppPaths) -> LockHolder | None:
    """Return the supervisor of this app; None: there is none, or it is just taking the lock.

    Raises:
        FastlbError: the lock cannot be opened.
    """
    try:
        pid, started_at = map(int, read_regular(paths.lock).split())
        pidfd = os.pidfd_open(pid)
    except (OSError, ValueError):
        return None
    holder = LockHolder(pid, pidfd)
    # In this order: then the pidfd is of the process that wrote itself down; it holds the lock unless it has exited.
    if _start_of(pid) == started_at and is_running(paths) and not holder.has_exited:
        return holder
    holder.close()
    return None


def wait_until_free(paths: AppPaths) -> None:
    """Wait, however long, until nobody holds the lock of this app.

    Raises:
        FastlbError: the lock cannot be opened.
    """
    try:
        fd = _open_lock(paths.lock, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError, NotRegularFile):
        return
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, _whole_file(fcntl.F_RDLCK))
    finally:
        os.close(fd)


def _write_holder(fd: int) -> None:
    pid = os.getpid()
    # Always as long, so that one write replaces what a holder before us, or our starter, has written.
    line = f"{pid} {_start_of(pid)}".ljust(HOLDER_BYTES - 1) + "\n"
    with contextlib.suppress(OSError):  # a full disk must not keep an app from starting: then nobody is named
        os.pwrite(fd, line.encode(), 0)


def _start_of(pid: int) -> int | None:
    """When a process began, in clock ticks since the boot: field 22 of /proc/PID/stat, see proc(5)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def _open_lock(path: Path, flags: int) -> int:
    try:
        return open_regular(path, flags | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError, NotRegularFile):
        raise
    except OSError as error:
        raise FastlbError(f"cannot lock {path}: {error.strerror}") from error


def _whole_file(lock_type: int) -> bytes:
    """struct flock of fcntl(2) for all of a file: type, whence, start, length, pid (0 as F_OFD_* demands)."""
    return struct.pack("hhqqi4x", lock_type, os.SEEK_SET, 0, 0, 0)


def _is_still(path: Path, fd: int) -> bool:
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))
