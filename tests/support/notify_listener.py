"""Owns a small service manager for tests: the socket of sd_notify(3), and what a process says there.

Runs in the test process. It starts nothing and ends nothing.
"""

import socket
import struct
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from .waiting import scaled

LONGEST_DATAGRAM = 4096
# pid, uid, gid: unix(7)
UCRED = struct.Struct("3i")


class NotifyListener:
    """A socket that hears what services say.

    Args:
        path: where it is made.

    Attributes:
        said: every datagram, as lines, in the order in which they came.
        main_pid: who alone is listened to, until it names another, as with NotifyAccess=main of systemd.service(5); 0:
            everybody is.
    """

    def __init__(self, path: Path) -> None:
        self.said: list[list[str]] = []
        self.path = path
        self.main_pid = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(path))

    def env(self, watchdog_seconds: float = 0.0) -> dict[str, str]:
        """Return what systemd tells a service."""
        watchdog = {"WATCHDOG_USEC": str(round(watchdog_seconds * 1e6))} if watchdog_seconds else {}
        return {"NOTIFY_SOCKET": str(self.path), **watchdog}

    def hear(self, word: str, timeout: float = 20.0) -> list[str]:
        """Return the next datagram with a line that begins with `word`; those before it are in `said`.

        Raises:
            AssertionError: none came within `timeout` seconds, before scaling.
        """
        deadline = time.monotonic() + scaled(timeout)
        while (remaining := deadline - time.monotonic()) > 0:
            lines = self._receive(remaining)
            if lines and any(line.startswith(word) for line in lines):
                return lines
        raise AssertionError(f"nobody said {word} within {scaled(timeout):g} s, but {self.said}")

    def hear_all(self) -> None:
        """Take what waits."""
        while self._receive(0.0) is not None:
            pass

    def is_silent_for(self, seconds: float) -> bool:
        """Whether nothing is said within so many seconds from now."""
        return self._receive(seconds) is None

    def _receive(self, seconds: float) -> list[str] | None:
        self._socket.settimeout(seconds)
        try:
            data, [(_, _, credentials)], _, _ = self._socket.recvmsg(LONGEST_DATAGRAM, socket.CMSG_SPACE(UCRED.size))
        except (TimeoutError, BlockingIOError):
            return None
        lines = data.decode().split("\n")
        if self.main_pid and UCRED.unpack(credentials)[0] != self.main_pid:
            return []
        for line in lines:
            if self.main_pid and line.startswith("MAINPID="):
                self.main_pid = int(line.removeprefix("MAINPID="))
        self.said.append(lines)
        return lines

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._socket.close()
        self.path.unlink()
