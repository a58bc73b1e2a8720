"""Owns speaking to the kernel about changes of files: inotify(7), by ctypes. Runs in the supervisor process.

There is nothing between us and the kernel that would wake up by itself: a descriptor becomes readable when something
has changed, and not before.
"""

import ctypes
import errno
import os
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
OVERFLOW = 0x4000  # more has changed than the kernel keeps
IGNORED = 0x8000  # the watch is gone
ONLY_DIRECTORY = 0x1000000
ADD_TO_MASK = 0x20000000
IS_DIRECTORY = 0x40000000
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, bytes of the name that follows
READ_BYTES = 1 << 16
LIMITS = Path("/proc/sys/fs/inotify")


@dataclass(frozen=True)
class InotifyEvent:
    """What the kernel says: of which watch, bits of the constants above, the name in the watched directory or ""."""

    watch: int
    mask: int
    name: str


class Inotify:
    """Watches directories.

    Raises:
        OSError: the kernel allows no more instances to this user: see `limit_advice`.
    """

    def __init__(self) -> None:
        self.fd = _checked(_libc().inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))

    def add(self, directory: str, mask: int) -> int:
        """Watch a directory, for `mask` besides what it is watched for already; return the number of its watch.

        One directory has one number, by whatever path it is reached.

        Raises:
            OSError: there is none, or it cannot be read, or the kernel allows no more: see `limit_advice`.
        """
        path = os.fsencode(directory)
        return _checked(_libc().inotify_add_watch(self.fd, path, mask | ADD_TO_MASK | ONLY_DIRECTORY))

    def remove(self, watch: int) -> None:
        """Watch a directory no more; one that is gone is no matter."""
        _libc().inotify_rm_watch(self.fd, watch)

    def read(self) -> list[InotifyEvent]:
        """Return what has happened since the last call, some of it if that is much: the descriptor stays readable."""
        try:
            data = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return []
        events, at = [], 0
        while at < len(data):
            watch, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            events.append(InotifyEvent(watch, mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))))
            at += length
        return events

    def close(self) -> None:
        """Watch nothing more."""
        os.close(self.fd)


def limit_advice(error: OSError) -> str:
    """Return what to do when the kernel allows no more; empty: that is not the matter."""
    names = {errno.ENOSPC: "max_user_watches", errno.EMFILE: "max_user_instances"}
    name = names.get(error.errno or 0)
    if name is None:
        return ""
    try:
        limit = int((LIMITS / name).read_text())
    except (OSError, ValueError):
        return f"raise fs.inotify.{name} (sysctl)"
    what = "directories" if name == "max_user_watches" else "programs"
    return (
        f"the kernel lets a user watch {limit} {what}, and editors and other tools have their part of it:"
        f" `sudo sysctl fs.inotify.{name}={2 * limit}`, or watch less"
    )


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
