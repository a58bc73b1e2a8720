"""Owns the client's end of the control socket: blocking and small. Used by the command line and by tests.

It must import little: `fastlb list` waits for it.
"""

import contextlib
import errno
import os
import select
import signal
import socket
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from ..errors import FastlbError
from .framing import ServerMessage, decode_server_message, encode_request
from .peer import peer_of
from .progress import Progress
from .protocol import (
    FROZEN_METHODS,
    PROTOCOL_VERSION,
    AlertsReport,
    AppDetails,
    AppEntry,
    AppMetrics,
    Changes,
    Done,
    LogsParams,
    TriggerParams,
    WorkerAnswer,
)

ANSWER_SECONDS = 5.0
ELSEWHERE = "it has no pid here, as it runs in another container, or outside of this one: ask there"
NOBODY_LISTENS = (FileNotFoundError, NotADirectoryError, ConnectionRefusedError, ProcessLookupError)
RESULTS: dict[str, Any] = {
    "list": AppEntry,
    "show": AppDetails,
    "metrics": AppMetrics,
    "changes": Changes,
    "alerts": AlertsReport,
}
# Types of answers.
ANSWER_TYPES = (Done, Progress, *RESULTS.values())


class NotRunning(FastlbError):
    """No supervisor listens: the app was stopped, or its supervisor died."""


class Unreachable(FastlbError):
    """This process cannot speak to the supervisor, as another one may: it says nothing about the app."""


class OtherVersion(FastlbError):
    """The supervisor is of another version of fastlb, and understands no more than what is frozen."""


class LineNote(msgspec.Struct):
    """One line, as `stream_lines` yields it.

    `worker`, `pid`: who wrote it; None and 0: no worker did. `time`: when it came, in seconds since the epoch; 0: it
    says so itself.
    """

    stream: Literal["out", "err", "access", "event"]
    text: str
    worker: int | None = None
    pid: int = 0
    time: float = 0.0


class ControlClient:
    """A connection to one supervisor.

    Args:
        path: its control socket, AppPaths.control_socket.
        timeout: seconds to wait for each message; None: for ever, as an operation may take long.

    Attributes:
        pid: of the supervisor, as the kernel says.

    Raises:
        NotRunning: nobody listens there.
        Unreachable: it cannot be reached from here.
        FastlbError: it does not answer.
    """

    def __init__(self, path: Path, timeout: float | None = ANSWER_SECONDS) -> None:
        self._name = path.parent.name
        self._timeout = timeout
        self._next_id = 0
        self._version: int | None = None  # of the supervisor's protocol; None: it has not said it yet
        self.pid = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
            self.pid, _ = peer_of(self._socket)
            if not self.pid:
                raise PermissionError(errno.EPERM, ELSEWHERE)
            # The process itself, not its number: it may exit, and the number be another's, at any moment.
            self._pidfd = os.pidfd_open(self.pid)
        except OSError as error:
            self._socket.close()
            raise self._unreachable(error) from error
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. An operation under way goes on."""
        self._lines.close()
        self._socket.close()
        os.close(self._pidfd)

    def interrupt(self) -> None:
        """End what another thread waits for on this connection."""
        with contextlib.suppress(OSError):  # it has ended
            self._socket.shutdown(socket.SHUT_RDWR)

    def wait_for_ever(self) -> None:
        """From here on no answer comes too late.

        Raises:
            FastlbError: it does not answer now, so it will never.
        """
        self.call("ping")
        self.wait_without_end()

    def wait_without_end(self) -> None:
        """From here on wait for ever, whether or not the supervisor answers."""
        self._timeout = None
        self._socket.settimeout(None)

    def call(
        self,
        method: str,
        params: msgspec.Struct | Mapping[str, object] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Any:
        """Call a method and wait for its result: AppEntry for list, AppDetails for show, Done for most.

        Raises:
            OtherVersion: it speaks another version of the protocol, and `method` is not one of FROZEN_METHODS.
            FastlbError: the supervisor's own message, exit code and details; or it did not answer.
        """
        self.begin(method, params)
        steps = self.steps(method)
        while True:
            try:
                step = next(steps)
            except StopIteration as ended:
                return ended.value
            if on_progress:
                on_progress(step)

    def begin(self, method: str, params: msgspec.Struct | Mapping[str, object] | None = None) -> None:
        """Call a method without waiting for anything that comes of it: `steps` does.

        Raises:
            OtherVersion, FastlbError: as `call`.
        """
        if method not in FROZEN_METHODS:
            self._require_own_version()
        self._send(method, params)

    def steps(self, method: str) -> Generator[Progress, None, Any]:
        """Yield how far the method that was begun has come; the generator's value is its result.

        Raises:
            FastlbError: as `call`.
        """
        while True:
            message = self._receive()
            if message.error:
                raise _as_exception(message)
            if message.protocol:
                return self._result_of(method, message)
            if message.method == "progress":
                yield msgspec.json.decode(message.params, type=Progress)

    def stream_lines(
        self,
        params: LogsParams,
        on_start: Callable[[dict[tuple[int, int], int]], None] | None = None,
    ) -> Iterator[LineNote]:
        """Lines that workers write from now on, until the supervisor ends.

        Args:
            params: which.
            on_start: gets the sizes in bytes of the log files, by device and inode, before the first line: the files up
                to there and the lines from here on are everything, once.
        """
        ends = self.begin_lines(params)
        if on_start:
            on_start(ends)
        yield from self.lines()

    def begin_lines(self, params: LogsParams) -> dict[tuple[int, int], int]:
        """Ask for the lines that are written from now on, which `lines` yields; return what `on_start` gets.

        Raises:
            FastlbError: as `call`.
        """
        self._require_own_version()
        self._send("logs", params)
        self._socket.settimeout(None)
        message = self._receive()
        if message.error:
            raise _as_exception(message)
        ends = msgspec.json.decode(message.params, type=dict[str, list[tuple[int, int, int]]]).get("ends", [])
        return {(device, inode): size_bytes for device, inode, size_bytes in ends}

    def lines(self) -> Iterator[LineNote]:
        """Lines that were asked for by `begin_lines`, until the supervisor ends.

        Raises:
            FastlbError: the supervisor's own message.
        """
        for line in self._lines:
            message = decode_server_message(line)
            if message.error:
                raise _as_exception(message)
            if message.protocol:
                return
            if message.method == "line":
                yield msgspec.json.decode(message.params, type=LineNote)

    def trigger(self, params: TriggerParams) -> Iterator[WorkerAnswer]:
        """Ask workers for an action, and yield each answer when it comes.

        Raises:
            FastlbError: as `call`.
        """
        self._require_own_version()
        self._send("trigger", params)
        while not (message := self._receive()).protocol:
            if message.method == "answer":
                yield msgspec.json.decode(message.params, type=WorkerAnswer)
        if message.error:
            raise _as_exception(message)

    def terminate(self, *, force: bool = False) -> None:
        """Send the supervisor's process the signal to end; with `force` the one to end at once."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGQUIT if force else signal.SIGTERM)

    def wait_for_exit(self) -> None:
        """After a `stop` was answered: wait until the supervisor's process is gone (at most `timeout`).

        Raises:
            FastlbError: it is still there.
        """
        watch = select.poll()
        watch.register(self._pidfd, select.POLLIN)
        if not watch.poll(None if self._timeout is None else self._timeout * 1000):
            raise FastlbError(f"the supervisor of {self._name} (pid {self.pid}) has not exited: kill it")

    def _send(self, method: str, params: msgspec.Struct | Mapping[str, object] | None) -> None:
        self._next_id += 1
        try:
            self._socket.sendall(encode_request(self._next_id, method, {} if params is None else params))
        except TimeoutError as error:
            raise self._silent() from error
        except OSError as error:
            raise self._gone() from error

    def _receive(self) -> ServerMessage:
        try:
            line = self._lines.readline()
        except TimeoutError as error:
            raise self._silent() from error
        except ConnectionError as error:
            raise self._gone() from error
        if not line:
            raise self._gone()
        try:
            message = decode_server_message(line)
        except msgspec.DecodeError as error:
            raise self._other_version() from error
        if message.protocol:
            self._version = message.protocol
        return message

    def _require_own_version(self) -> None:
        if self._version is None:
            self.call("ping")
        if self._version != PROTOCOL_VERSION:
            raise self._other_version()

    def _result_of(self, method: str, message: ServerMessage) -> Any:
        try:
            return msgspec.json.decode(message.result, type=RESULTS.get(method, Done))
        except msgspec.DecodeError as error:
            raise self._other_version() from error

    def _other_version(self) -> OtherVersion:
        theirs = "another version" if self._version is None else f"version {self._version}"
        return OtherVersion(
            f"{self._name} was started by another fastlb: its supervisor speaks {theirs} of the control protocol and"
            f" this command {PROTOCOL_VERSION}: `fastlb stop {self._name}`, then `fastlb start {self._name}`"
        )

    def _unreachable(self, error: OSError) -> FastlbError:
        if isinstance(error, NOBODY_LISTENS):
            return NotRunning(f"{self._name} is not running: start it with `fastlb start`")
        if isinstance(error, TimeoutError | BlockingIOError):
            return self._silent()
        return Unreachable(f"cannot reach the supervisor of {self._name}: {error.strerror or error}")

    def _silent(self) -> FastlbError:
        return FastlbError(
            f"the supervisor of {self._name} did not answer within {self._timeout:g} s: is it stuck? (pid {self.pid})"
        )

    def _gone(self) -> FastlbError:
        return FastlbError(f"the supervisor of {self._name} hung up before it had answered: see its log")


def _as_exception(message: ServerMessage) -> FastlbError:
    assert message.error
    data = message.error.data
    return FastlbError(message.error.message, details=data.details, exit_code=data.exit_code)
