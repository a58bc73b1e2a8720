"""Owns sending lines to a log daemon of this machine, one datagram a line: journald or syslog.

Runs in the supervisor process, in the thread that writes logs: a daemon that does not read holds up nobody else. It
must never raise because of the daemon: what that does not take is counted, and said in a message once it does again.
"""

import array
import contextlib
import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace

from ..errors import FastlbError
from .event_log import EventLog
from .line_format import Origin
from .log_sink import FileEnd

WARNING_INTERVAL = 1.0
SEND_BUFFER_BYTES = 8 << 20
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class DatagramLog:
    """The socket of a log daemon, which must listen when this is made.

    Args:
        path: of the socket.
        encode: makes the datagram of a message.
        log: is told of problems.
        is_whole: what is appended at a time is one message, and not one message a line.

    Raises:
        FastlbError: nobody listens there.
    """

    has_files_per_process = False

    def __init__(
        self, path: str, encode: Callable[[Origin, bytes], bytes], log: EventLog, *, is_whole: bool = False
    ) -> None:
        self._path = path
        self._encode = encode
        self._log = log
        self._is_whole = is_whole
        self._missing = 0  # lines since the last that was taken
        self._lost = 0
        self._next_warning = 0.0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._check()

    def append(self, origin: Origin, lines: bytes) -> None:
        """Send whole lines."""
        for message in [lines[:-1]] if self._is_whole else lines[:-1].split(b"\n"):
            if (self._missing and not self._tell(origin)) or not self._send(origin, message):
                self._count(message.count(b"\n") + 1)

    def lose(self, origin: Origin, count: int) -> None:
        """So many lines were dropped before they came here."""
        self._count(count)
        self._tell(origin)

    def lost_lines(self) -> dict[str, int]:
        """Return how many lines the daemon did not get."""
        return {self._path: self._lost} if self._lost else {}

    def ends(self) -> list[FileEnd]:
        """Return nothing: there are no files."""
        return []

    def forget(self, worker: int, pid: int) -> None:
        """Do nothing."""

    def reopen_if_moved(self) -> None:
        """Do nothing: each datagram is sent to the name."""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _check(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
            try:
                probe.connect(self._path)
            except OSError as error:
                self._socket.close()
                raise FastlbError(
                    f"no log daemon listens at {self._path}: {error.strerror or error}:"
                    " start it, give --log-socket, or write files (--log-target file)"
                ) from error

    def _count(self, lines: int) -> None:
        self._missing += lines
        self._lost += lines

    def _tell(self, origin: Origin) -> bool:
        """Send a message about what is missing; return whether it was taken."""
        missing = self._missing
        mark = b"[fastlb] %d lines were lost here: the log daemon did not take them" % missing
        if not self._send(replace(origin, stream="err"), mark):
            return False
        self._missing = 0
        self._log.info("log_resumed", file=self._path, lost_lines=missing)
        return True

    def _send(self, origin: Origin, message: bytes) -> bool:
        datagram = self._encode(origin, message)
        try:
            try:
                self._socket.sendto(datagram, self._path)
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
                self._send_as_file(datagram)
        except OSError as error:
            self._warn(error.strerror or str(error))
            return False
        return True

    def _send_as_file(self, datagram: bytes) -> None:
        """Send what is too large for a datagram, as journald takes it: a sealed memfd."""
        fd = os.memfd_create("fastlb-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with open(fd, "wb", buffering=0) as file:
            file.write(datagram)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
            self._socket.sendmsg([], [rights], 0, self._path)

    def _warn(self, reason: str) -> None:
        if time.monotonic() >= self._next_warning:
            self._next_warning = time.monotonic() + WARNING_INTERVAL
            self._log.warning("log_not_writable", file=self._path, reason=reason, lost_lines=self._missing)
