"""Owns waiting until a file changes: the kernel says so by inotify(7). Runs in the user's shell.

Nothing is looked at again and again. Whoever reads our output may go: that ends the waiting as well.
"""

import contextlib
import ctypes
import os
import select
from pathlib import Path
from types import TracebackType
from typing import Self

from ..supervisor.errors import FastlbError

# sys/inotify.h
IN_MODIFY, IN_MOVED_TO, IN_CREATE = 0x2, 0x80, 0x100
READ_BYTES = 64 * 1024


class FileChanges:
    """What the kernel says of some files and directories. Use as a context manager.

    Args:
        output_fd: of the pipe or terminal that gets our output.

    Raises:
        FastlbError: the system has no more to give.
    """

    def __init__(self, output_fd: int) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._output_fd = output_fd
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _failure("cannot wait for changes of files")
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._poll.register(output_fd, 0)  # an error, such as a pipe that nobody reads any more, is told anyway

    def watch_file(self, path: Path) -> None:
        """Be woken when something is written to the file that is there now, if there is one. May be repeated."""
        self._watch(path, IN_MODIFY)

    def watch_directory(self, path: Path) -> None:
        """Be woken when a file comes to be in a directory.

        Raises:
            FastlbError: it is not there, or the system has no more to give.
        """
        if self._watch(path, IN_CREATE | IN_MOVED_TO) < 0:
            raise _failure(f"cannot wait for changes in {path}")

    def wait(self) -> bool:
        """Wait for a change; False: nobody reads our output any more."""
        ready = self._poll.poll()
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, READ_BYTES)
        return all(fd != self._output_fd for fd, _ in ready)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        os.close(self._fd)

    def _watch(self, path: Path, mask: int) -> int:
        watch: int = self._libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(mask))
        return watch


def _failure(what: str) -> FastlbError:
    return FastlbError(f"{what}: {os.strerror(ctypes.get_errno())}")
