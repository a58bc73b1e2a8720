"""Owns opening a file of ours at a path where somebody else may have put something. Supervisor and shell.

It must never wait: a FIFO without a reader would hold up the process that opens it.
"""

import errno
import os
import stat
from pathlib import Path

NOT_REGULAR = "this is not a regular file: move it away"


class NotRegularFile(OSError):
    """There is something else than a file; `strerror` says so."""


def open_regular(path: Path, flags: int, mode: int = 0o600) -> int:
    """Open a file and return its descriptor, close-on-exec; `flags` and `mode` as open(2) takes them.

    A character device will do as well (/dev/null). Without O_NOFOLLOW a symbolic link is followed.

    Raises:
        NotRegularFile: it is something else.
        OSError: as open(2) says.
    """
    try:
        fd = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, mode)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a FIFO that nobody reads
            raise _not_regular(path) from error
        raise
    kind = os.fstat(fd).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):
        os.close(fd)
        raise _not_regular(path)
    return fd


def read_regular(path: Path) -> bytes:
    """Return what is in a file.

    Raises:
        OSError: as `open_regular`.
    """
    with open(open_regular(path, os.O_RDONLY), "rb") as file:
        return file.read()


def _not_regular(path: Path) -> NotRegularFile:
    return NotRegularFile(errno.EINVAL, NOT_REGULAR, str(path))
