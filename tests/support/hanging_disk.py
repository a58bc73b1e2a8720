"""A disk that takes nothing for a while: a full pipe that is not read, in place of a file that this process writes."""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path


class HangingDisk:
    """What is written to a file hangs until `recover`; `taken` is what was written instead. Close it."""

    def __init__(self, path: Path) -> None:
        self.taken = b""
        self._read_fd, write_fd = os.pipe()
        self._filling = _fill(write_fd)
        for fd in _fds_of(path):
            os.dup2(write_fd, fd, inheritable=False)
        os.close(write_fd)
        self._reader = threading.Thread(target=self._read)

    def recover(self) -> None:
        """Take what waits, and all that comes."""
        self._reader.start()

    def close(self) -> None:
        """Wait for the end of what is written; whoever writes the file must have closed it."""
        self._reader.join()
        os.close(self._read_fd)

    def _read(self) -> None:
        taken = bytearray()
        while part := os.read(self._read_fd, 1 << 16):
            taken += part
        self.taken = bytes(taken[self._filling :])


@contextlib.contextmanager
def hanging(path: Path) -> Iterator[HangingDisk]:
    """A disk that hangs below a file of this process; the context's end waits for the end of writing."""
    disk = HangingDisk(path)
    try:
        yield disk
    finally:
        disk.close()


def _fill(write_fd: int) -> int:
    size = fcntl.fcntl(write_fd, fcntl.F_GETPIPE_SZ)
    return os.write(write_fd, bytes(size))


def _fds_of(path: Path) -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}") == str(path):
                found.append(int(name))
    return found
