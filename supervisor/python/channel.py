"""Owns the supervisor's end of a worker's lifecycle channel (its messages: worker/wire.py).

Runs in the supervisor process. What a worker says is a claim: lines are bounded, and one that makes no sense
costs the worker its channel, nobody else anything.
"""

import array
import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ...worker.wire import (
    MAX_LINE_BYTES,
    READY,
    UNREADY,
    AppEnds,
    HealthCheck,
    WorkerConfig,
    WorkerExited,
    WorkerNews,
    WorkerReport,
)

READ_BYTES = 64 * 1024
REPORTS = ("serving", "startup_failed", "exit_handled")
TOO_LONG = f"wrote a line of more than {MAX_LINE_BYTES} bytes to the supervisor"


@dataclass(frozen=True)
class ReadySaid:
    """The app called fastlb.worker.ready()."""


@dataclass(frozen=True)
class UnreadySaid:
    """The app called fastlb.worker.unready()."""


@dataclass(frozen=True)
class ChannelClosed:
    """The worker's end is closed, or it wrote nonsense: `reason` says which. Nothing follows."""

    reason: str


WorkerMessage = WorkerReport | ReadySaid | UnreadySaid | ChannelClosed
OnMessage = Callable[[WorkerMessage], None]


class WorkerChannel:
    """One worker's lifecycle channel. Owns `sock`, our end of the pair, non-blocking."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, on_message: OnMessage) -> None:
        self._loop = loop
        self._sock = sock
        self._on_message = on_message
        self._inbox = b""
        self._outbox = b""
        loop.add_reader(sock.fileno(), self._on_readable)

    def send_config(self, config: WorkerConfig) -> None:
        """Write the first line; what the socket does not take at once follows as it can."""
        self._send(config)

    def say_app_ends(self) -> None:
        """Tell the worker that the whole app ends."""
        self._send(AppEnds())

    def say_exited(self, pid: int) -> None:
        """Tell the worker that the process of another one has ended."""
        self._send(WorkerExited(pid))

    def hand_over(self, sock: socket.socket, port: int) -> bool:
        """Hand the worker a connection (borrowed) that it is to serve and not to count; False: it does not read.

        `port`: of the client's end; 0: it is a unix socket.
        """
        if self._outbox or self._sock.fileno() < 0:
            return False
        line = msgspec.json.encode(HealthCheck(port)) + b"\n"
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))]
        try:
            self._outbox = line[self._sock.sendmsg([line], rights) :]
        except OSError:
            return False
        if self._outbox:
            self._loop.add_writer(self._sock.fileno(), self._flush)
        return True

    def close(self) -> None:
        """Stop reading and close our end. May be called twice."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()

    def take_last_words(self) -> None:
        """Read what a process that has exited left behind; `on_message` is not told of the end."""
        while self._sock.fileno() >= 0 and self._read():
            pass

    def _send(self, message: WorkerConfig | WorkerNews) -> None:
        if self._sock.fileno() >= 0:
            self._outbox += msgspec.json.encode(message) + b"\n"
            self._flush()

    def _flush(self) -> None:
        try:
            self._outbox = self._outbox[self._sock.send(self._outbox) :]
        except BlockingIOError:
            pass
        except OSError:
            # It is gone; the end of our reading side says so in order.
            self._outbox = b""
        if self._outbox:
            self._loop.add_writer(self._sock.fileno(), self._flush)
        else:
            self._loop.remove_writer(self._sock.fileno())

    def _on_readable(self) -> None:
        if self._read() is False and self._sock.fileno() >= 0:
            self._end("closed its channel to the supervisor")

    def _read(self) -> bool | None:
        """Read once. True: there may be more. False: the end. None: nothing now."""
        try:
            chunk = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return False
        *lines, self._inbox = (self._inbox + chunk).split(b"\n")
        for line in lines:
            self._take_line(line)
        if len(self._inbox) > MAX_LINE_BYTES:
            self._end(TOO_LONG)
        return bool(chunk)

    def _take_line(self, line: bytes) -> None:
        if self._sock.fileno() < 0:
            return
        if len(line) > MAX_LINE_BYTES:
            self._end(TOO_LONG)
            return
        try:
            message = msgspec.json.decode(line)
        except msgspec.DecodeError:
            self._end("wrote a line that is no JSON to the supervisor")
            return
        if message == READY:
            self._on_message(ReadySaid())
        elif message == UNREADY:
            self._on_message(UnreadySaid())
        elif isinstance(message, dict) and message.get("type") in REPORTS:
            self._take_report(message)

    def _take_report(self, message: object) -> None:
        try:
            report: WorkerReport = msgspec.convert(message, WorkerReport)
        except msgspec.ValidationError as error:
            self._end(f"wrote a malformed report to the supervisor: {error}")
            return
        self._on_message(report)

    def _end(self, reason: str) -> None:
        self.close()
        self._on_message(ChannelClosed(reason))
