"""Owns the socket by which a worker speaks sd_notify(3) to us: one for each process, and who may write to it.

Runs in the supervisor process. What comes from a process that is neither the worker nor below it is dropped, and so is
what is too long; who writes without end waits. Descriptors that come along are closed at once, which is what the sender
of BARRIER=1 waits for.
"""

import asyncio
import os
import secrets
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

from ..processes.ancestry import is_same_or_below
from .notice import Notice, parse_notice

LONGEST_DATAGRAM = 4096
MOST_A_TURN = 16
# Of one worker in a second; the rest waits in the kernel, and then its writer does.
MOST_A_SECOND = 200
SECOND = 1.0
CREDENTIALS = struct.Struct("3i")
# Room for a few descriptors, which the kernel closes when there is none.
ANCILLARY_BYTES = socket.CMSG_SPACE(CREDENTIALS.size) + socket.CMSG_SPACE(4 * struct.calcsize("i"))


class NotifySocket:
    """The socket of one process. Owns `sock`, and the file at `path` (None: its name is an abstract one).

    Attributes:
        address: as NOTIFY_SOCKET says it.
        status: the last word of the process for people; "": none.
        alive_ns: when it last gave a sign of life, in monotonic nanoseconds; 0: it never did.
        refused: datagrams that were dropped.
    """

    def __init__(self, sock: socket.socket, path: Path | None) -> None:
        self.address = str(path) if path else "@" + sock.getsockname()[1:].decode()
        self.status = ""
        self.alive_ns = 0
        self.refused = 0
        self._sock = sock
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._pid = 0
        self._on_notice: Callable[[Notice], None] = lambda notice: None
        self._read_in_second = 0
        self._second_ends_at = 0.0
        self._resume: asyncio.TimerHandle | None = None

    def listen(self, pid: int, on_notice: Callable[[Notice], None]) -> None:
        """Take what the process `pid` says, and those below it."""
        self._pid, self._on_notice = pid, on_notice
        self._loop.add_reader(self._sock.fileno(), self._on_readable)

    def take_last_words(self) -> None:
        """Read what a process that has exited, and is not reaped for others to take its number, left behind."""
        while self._read_one():
            pass

    def close(self) -> None:
        """Stop reading and remove the socket. May be called twice."""
        if self._resume:
            self._resume.cancel()
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        if self._path:
            self._path.unlink(missing_ok=True)

    def _on_readable(self) -> None:
        now = self._loop.time()
        if now >= self._second_ends_at:
            self._read_in_second, self._second_ends_at = 0, now + SECOND
        for _ in range(MOST_A_TURN):
            if not self._read_one():
                return
            self._read_in_second += 1
        if self._read_in_second >= MOST_A_SECOND:
            self._loop.remove_reader(self._sock.fileno())
            self._resume = self._loop.call_at(self._second_ends_at, self._go_on)

    def _go_on(self) -> None:
        self._loop.add_reader(self._sock.fileno(), self._on_readable)

    def _read_one(self) -> bool:
        """Take one datagram; return whether there may be another."""
        if self._sock.fileno() < 0:
            return False
        flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        try:
            data, ancillary, result_flags, _ = self._sock.recvmsg(LONGEST_DATAGRAM, ANCILLARY_BYTES, flags)
        except OSError:
            return False
        sender = _sender(ancillary)
        if result_flags & socket.MSG_TRUNC or not is_same_or_below(sender, self._pid):
            self.refused += 1
            return True
        notice = parse_notice(data)
        if notice.status is not None:
            self.status = notice.status
        if notice.is_alive:
            self.alive_ns = time.monotonic_ns()
        self._on_notice(notice)
        return True


def open_notify_socket(path: Path | None) -> NotifySocket:
    """Open a socket at `path`, which is ours alone to write, or an abstract one.

    A process of another user can reach nothing in our directories, hence the abstract one; who writes there is checked
    in any case.

    Raises:
        OSError: no descriptors are left, or the path is too long.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        if path is None:
            sock.bind(f"\0fastlb-{secrets.token_hex(16)}")
        else:
            path.unlink(missing_ok=True)  # of a supervisor that was killed
            _bind_private(sock, path)
        return NotifySocket(sock, path)
    except OSError:
        sock.close()
        raise


def _bind_private(sock: socket.socket, path: Path) -> None:
    """Bind with mode 0600 from birth; the umask is the process's, so no other thread may create files meanwhile."""
    umask = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(umask)


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the pid of who sent a datagram, 0 if the kernel does not say; close the descriptors that came along."""
    pid = 0
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS and len(data) == CREDENTIALS.size:
            pid = CREDENTIALS.unpack(data)[0]
        elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            size = struct.calcsize("i")
            for (fd,) in struct.iter_unpack("i", data[: len(data) - len(data) % size]):
                os.close(fd)
    return pid
