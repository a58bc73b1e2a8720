"""Owns the worker's end of the lifecycle channel: newline-delimited JSON over a stream socket from the
supervisor.

Runs in workers. Reads the configuration before there is an event loop, then waits for the word that the whole app
ends, or that another worker has, and for EOF: the supervisor is gone. Lines are bounded; one that it does not know is
ignored.
"""

import asyncio
import atexit
import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable

import msgspec

from .actions.registry import actions_of_this_process
from .exit_hooks import hooks_of_this_process
from .wire import (
    MAX_LINE_BYTES,
    READY,
    UNREADY,
    WIRE_VERSION,
    AppEnds,
    ExitHandled,
    HealthCheck,
    WorkerConfig,
    WorkerNews,
    WorkerReport,
)

CHUNK_BYTES = 65536
ANCILLARY_BYTES = socket.CMSG_SPACE(4 * struct.calcsize("i"))

_channel_of_this_process: "LifecycleChannel | None" = None


class OtherRelease(Exception):
    """The supervisor runs the code of another release of fastlb than this worker."""


class _VersionOnly(msgspec.Struct):
    wire_version: int = 0  # releases from before there was a number


class LifecycleChannel:
    """The worker's end; adopts `fd`. One per process. Sending is possible from any thread."""

    def __init__(self, fd: int) -> None:
        global _channel_of_this_process
        self._socket = socket.socket(fileno=fd)
        atexit.register(self._socket.detach)  # open until the process has ended: its end is the supervisor's news
        self._sending = threading.Lock()
        self._inbox = b""
        self._fds: deque[int | None] = deque()
        _channel_of_this_process = self

    def fileno(self) -> int:
        """Return the descriptor, which stays this object's."""
        return self._socket.fileno()

    def read_config(self) -> WorkerConfig:
        """Wait for the first line. Raises EOFError, ValueError (too long) or OtherRelease."""
        line = bytearray()
        while not line.endswith(b"\n"):
            # One byte at a time would be slow and a larger read could take what follows: so look first.
            seen = self._socket.recv(CHUNK_BYTES, socket.MSG_PEEK)
            if not seen:
                raise EOFError("the supervisor went away before it sent the configuration")
            length = seen.find(b"\n") + 1 or len(seen)
            line += self._socket.recv(length)
            if len(line) > MAX_LINE_BYTES:
                raise ValueError(f"configuration line above {MAX_LINE_BYTES} bytes")
        # First the version: of another one nothing else can be relied on, not even that it can be decoded.
        if msgspec.json.decode(line, type=_VersionOnly).wire_version != WIRE_VERSION:
            raise OtherRelease
        return msgspec.json.decode(line, type=WorkerConfig)

    def report(self, report: WorkerReport) -> None:
        """Send a report."""
        self._send(msgspec.json.encode(report))

    def say_ready(self) -> None:
        """Send the app's own word that it is ready."""
        self._send(msgspec.json.encode(READY))

    def say_unready(self) -> None:
        """Send the app's own word that it is not ready any more."""
        self._send(msgspec.json.encode(UNREADY))

    def watch(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_app_ends: Callable[[], object],
        on_end: Callable[[], object],
        on_check: Callable[[int, int], object],
    ) -> None:
        """From `loop`, call `on_app_ends` when the whole app ends, and `on_end` once when the supervisor is gone.

        `on_check` is called with the descriptor, which it owns, of a connection to be served and the client's port.
        """

        def on_readable() -> None:
            try:
                chunk = self._receive()
                if chunk:
                    self._take(chunk, on_app_ends, on_check)
                    return
            except BlockingIOError:
                return
            except OSError:
                pass  # a reset is an end as well
            loop.remove_reader(self._socket)
            on_end()

        loop.add_reader(self._socket, on_readable)
        actions_of_this_process.loop = loop

    def _receive(self) -> bytes:
        """Read once; descriptors that come along are kept for the lines that are about them."""
        flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        chunk, ancillary, result, _ = self._socket.recvmsg(CHUNK_BYTES, ANCILLARY_BYTES, flags)
        fds = [int(fd) for *_, data in ancillary for (fd,) in struct.iter_unpack("i", data)]
        # One comes with a line, and the kernel ends a read behind it. Without a free descriptor it is lost.
        self._fds += fds or [None] * bool(result & socket.MSG_CTRUNC)
        return chunk

    def _take(
        self, chunk: bytes, on_app_ends: Callable[[], object], on_check: Callable[[int, int], object]
    ) -> None:
        *lines, rest = (self._inbox + chunk).split(b"\n")
        self._inbox = rest[:MAX_LINE_BYTES]
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError):
                news = msgspec.json.decode(line, type=WorkerNews)
                if isinstance(news, AppEnds):
                    on_app_ends()
                elif isinstance(news, HealthCheck):
                    fd = self._fds.popleft() if self._fds else None
                    if fd is not None:
                        on_check(fd, news.port)
                else:
                    hooks_of_this_process.announce(news.pid, self._say_handled)

    def _say_handled(self, pid: int) -> None:
        self.report(ExitHandled(pid))

    def _send(self, line: bytes) -> None:
        try:
            with self._sending:
                self._socket.sendall(line + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # without a supervisor there is nobody to tell; watch() sees the end


def forget_channel_of_this_process() -> None:
    """Be no worker any more: for a forked child. The channel's object is left alone."""
    global _channel_of_this_process
    _channel_of_this_process = None


def channel_of_this_process() -> LifecycleChannel | None:
    """Return the channel of the worker that this process is, None when it is no worker."""
    return _channel_of_this_process
