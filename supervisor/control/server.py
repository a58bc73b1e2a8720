"""Owns the control socket: who may speak, how much, how long. Runs in the supervisor process.

A client can cost us its own connection and nothing else. It must never wait for a client that does not read,
and never give up an operation because its client went away.
"""

import asyncio
import contextlib
import os
import socket
import stat
import time
import traceback
from collections import Counter
from typing import cast

from ..errors import EXIT_FAILURE, EXIT_USAGE, FastlbError
from ..home.paths import AppPaths
from ..output.event_log import EventLog
from ..sockets.unix_socket import bind_unix, file_id_of
from .framing import ControlRequest, Error, ErrorData, RequestError, decode_request, encode_error, encode_result
from .peer import peer_of
from .protocol import ERROR_FAILED, ERROR_INVALID_REQUEST, MAX_MESSAGE_BYTES
from .requests import ControlRequests

MAX_CONNECTIONS_PER_UID = 32
IDLE_SECONDS = 30.0
LOOK_INTERVAL = 1.0
REFUSAL_LOG_INTERVAL = 1.0
CLOSE_SECONDS = 1.0
MAX_OUTPUT_BYTES = 1 << 20
SOCKET_MODE = 0o600


class ControlServer:
    """Accepts clients of the same user (or root) and answers them, one request at a time each."""

    def __init__(self, paths: AppPaths, requests: ControlRequests, log: EventLog) -> None:
        self._path = paths.control_socket
        self._requests = requests
        self._log = log
        self._sessions: dict[ClientSession, bool] = {}  # all True; the oldest first
        self._sessions_of_uid: Counter[int] = Counter()
        self._server: asyncio.Server | None = None
        self._file_id: tuple[int, int] | None = None  # of the socket file that leads to us
        self._watching: asyncio.Task[None] | None = None
        self._unlogged_refusals = 0
        self._next_refusal_log = 0.0

    async def start(self) -> None:
        """Bind the socket, with mode 0600 from birth. The caller holds the app's lock.

        Raises:
            FastlbError: something that is not a socket is in its place, or the disk refuses.
        """
        await self._listen()
        self._watching = asyncio.create_task(self._keep_socket())

    def yield_path(self) -> None:
        """Let another process have the path, and clients go on that are connected already."""
        if self._watching:
            self._watching.cancel()
        if self._server:
            self._server.close()

    async def reclaim(self) -> None:
        """Have the path again after somebody who was to have it has died; the caller holds the app's lock.

        Raises:
            FastlbError: as `start`.
        """
        if not self._is_in_place():
            await self._listen()

    async def close(self) -> None:
        """Close the socket; let requests under way have their answer, for at most CLOSE_SECONDS."""
        if self._watching:
            self._watching.cancel()
        with contextlib.suppress(OSError):
            if file_id_of(self._path) == self._file_id:
                self._path.unlink()
        if self._server:
            self._server.close()
        for session in list(self._sessions):
            session.close_when_answered()
        tasks = [session.task for session in self._sessions if session.task]
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for session in list(self._sessions):
            session.abort()

    def admits(self, transport: asyncio.Transport) -> bool:
        """Whether the peer of a new connection may speak: judged by what the kernel says about it."""
        pid, uid = peer_of(transport.get_extra_info("socket"))
        if uid not in (0, os.geteuid()):
            self._refused(uid, pid, "another user")
            return False
        if self._sessions_of_uid[uid] >= MAX_CONNECTIONS_PER_UID and not self._close_idle(uid):
            self._refused(uid, pid, "too many connections")
            return False
        return True

    def _close_idle(self, uid: int) -> bool:
        """Make room for a client of `uid` that may have something to say; False: all others are being answered."""
        idle = next((session for session in self._sessions if session.uid == uid and session.is_idle), None)
        if idle:
            self.closed(idle)
            idle.abort()
        return idle is not None

    def _refused(self, uid: int, pid: int, reason: str) -> None:
        """Log one refusal a second, with how many there were."""
        self._unlogged_refusals += 1
        now = time.monotonic()
        if now < self._next_refusal_log:
            return
        self._next_refusal_log = now + REFUSAL_LOG_INTERVAL
        count, self._unlogged_refusals = self._unlogged_refusals, 0
        self._log.warning("control_client_refused", uid=uid, pid=pid, reason=reason, count=count)

    def opened(self, session: "ClientSession") -> None:
        """A client was admitted."""
        self._sessions[session] = True
        self._sessions_of_uid[session.uid] += 1

    def closed(self, session: "ClientSession") -> None:
        """The connection of a client that was admitted is gone. May be called twice."""
        if self._sessions.pop(session, False):
            self._sessions_of_uid[session.uid] -= 1

    async def answer(self, line: bytes, session: "ClientSession") -> bytes:
        """Carry out the request in `line` and return the reply. Raises nothing but cancellation."""
        try:
            request = decode_request(line)
        except RequestError as error:
            return _refusal(error)
        try:
            return encode_result(request.id, await self._requests.handle(request, session))
        except RequestError as error:
            return _refusal(error)
        except FastlbError as error:
            data = ErrorData(exit_code=error.exit_code, details=self._log.hide(error.details))
            return encode_error(request.id, Error(ERROR_FAILED, self._log.hide(error.message), data))
        except Exception as error:  # noqa: BLE001 - a bug in one handler must cost its request and nothing else
            return self._internal_error(request, error)

    def _internal_error(self, request: ControlRequest, error: Exception) -> bytes:
        trace = "".join(traceback.format_exception(error))
        self._log.error("control_request_failed", method=request.method, traceback=trace)
        message = f"{request.method} failed inside fastlb: {error!r}: the supervisor's log has more"
        return encode_error(request.id, Error(ERROR_FAILED, message, ErrorData(EXIT_FAILURE, trace)))

    async def _listen(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._remove_stale()
            bind_unix(sock, self._path, SOCKET_MODE)
            self._file_id = file_id_of(self._path)
        except OSError as error:
            sock.close()
            raise FastlbError(f"cannot create {self._path}: {error.strerror}") from error
        except FastlbError:
            sock.close()
            raise
        if self._server:
            self._server.close()  # what was connected through it stays
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Gate(self), sock=sock, backlog=128)

    async def _keep_socket(self) -> None:
        """Make the socket anew when its file was removed, or when it is no longer ours."""
        problem = ""
        while True:
            # A look a second, as at the log files: there is no call for a file that goes, without ctypes.
            await asyncio.sleep(LOOK_INTERVAL)
            if self._is_in_place():
                continue
            before, problem = problem, await self._restore()
            if problem and problem != before:
                self._log.warning("control_socket_missing", reason=problem)

    async def _restore(self) -> str:
        """Make the socket anew; return why that cannot be, or ""."""
        if os.path.lexists(self._path):
            return f"{self._path} is another file now"  # perhaps of a successor, should the lock be gone, too
        try:
            await self._listen()
        except FastlbError as error:
            return error.message
        self._log.warning("control_socket_restored", file=self._path)
        return ""

    def _is_in_place(self) -> bool:
        try:
            return file_id_of(self._path) == self._file_id
        except OSError:
            return False

    def _remove_stale(self) -> None:
        try:
            status = self._path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(status.st_mode):
            raise FastlbError(f"{self._path} is not a socket: remove it")
        # We hold the lock of the app, so whoever made it is dead.
        self._path.unlink()


class Gate(asyncio.StreamReaderProtocol):
    """Lets a connection in, or closes it before a byte is read."""

    def __init__(self, server: ControlServer) -> None:
        self._control_server = server
        self._session: ClientSession | None = None
        reader = asyncio.StreamReader(limit=MAX_MESSAGE_BYTES)
        super().__init__(reader, self._serve)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._control_server.admits(cast(asyncio.Transport, transport)):
            _, uid = peer_of(transport.get_extra_info("socket"))
            self._session = ClientSession(self._control_server, uid, cast(asyncio.Transport, transport))
            self._control_server.opened(self._session)
            super().connection_made(transport)
        else:
            cast(asyncio.Transport, transport).abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._session:
            self._control_server.closed(self._session)
        super().connection_lost(exc)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._session
        await self._session.serve(reader, writer)


class ClientSession:
    """One client: reads a request, sends its answer, reads the next. Is the `Caller` of requests.py."""

    def __init__(self, server: ControlServer, uid: int, transport: asyncio.Transport) -> None:
        self.uid = uid
        self._transport = transport
        self.task: asyncio.Task[None] | None = None
        self._server = server
        self._is_answering = False
        self._is_streaming = False
        self._is_closing = False

    @property
    def is_idle(self) -> bool:
        """Whether no request of the client is being answered."""
        return not self._is_answering

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the client until it leaves, is silent for IDLE_SECONDS or does not read its answers."""
        self.task = asyncio.current_task()
        self._reader = reader
        self._writer = writer
        # Whoever is gone, silent or closed by us (cancelled) needs no answer and no word in the log.
        gone = (ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.suppress(*gone):
            while not self._is_closing:
                await self._serve_one()
        writer.close()

    async def _serve_one(self) -> None:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            error = RequestError(ERROR_INVALID_REQUEST, f"a message has at most {MAX_MESSAGE_BYTES} bytes")
            self._writer.write(_refusal(error))
            self._is_closing = True
            return
        self._is_answering = True
        try:
            await self._reply(await self._server.answer(line, self))
        finally:
            self._is_answering = False

    async def _reply(self, reply: bytes) -> None:
        if self._writer.transport.is_closing():
            raise ConnectionResetError
        self._writer.write(reply)
        async with asyncio.timeout(IDLE_SECONDS):
            await self._writer.drain()
        # A client that sent thousands of requests at once gets no more than its turn.
        await asyncio.sleep(0)

    def notify(self, message: bytes) -> None:
        """Send, unless the client is gone or does not read."""
        transport = self._writer.transport
        if not transport.is_closing() and transport.get_write_buffer_size() < MAX_OUTPUT_BYTES:
            self._writer.write(message)

    async def send(self, message: bytes) -> None:
        """Send, and wait while the client does not read."""
        if self._writer.transport.is_closing():
            raise ConnectionResetError
        self._writer.write(message)
        await self._writer.drain()

    async def hung_up(self) -> None:
        """Return when the client has closed its end; what it sends until then is not looked at."""
        self._is_streaming = True
        try:
            while await self._reader.read(MAX_MESSAGE_BYTES):
                pass
        finally:
            self._is_streaming = False

    def close_when_answered(self) -> None:
        """Leave after the request under way; now if there is none, or if it would last for ever."""
        self._is_closing = True
        if self.task and (self._is_streaming or not self._is_answering):
            self.task.cancel()

    def abort(self) -> None:
        """Leave now."""
        if self.task:
            self.task.cancel()
        self._transport.abort()


def _refusal(error: RequestError) -> bytes:
    return encode_error(error.id, Error(error.code, error.message, ErrorData(exit_code=EXIT_USAGE)))
