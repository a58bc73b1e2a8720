"""Owns the supervisor's end of a Python worker's lifeline: actions that it is asked for (worker/actions/wire.py).

Runs in the supervisor process. The worker lives as long as this end is open, so nonsense costs it its actions alone.
"""

import array
import asyncio
import socket

import msgspec

from ...worker.actions.wire import MAX_LINE_BYTES, ActionAnswer, ActionBegun, ActionMessage, ActionRequest
from ..actions.call import ENDED, ActionCall, ActionOutcome, PendingActions

READ_BYTES = 64 * 1024
BLOCKED = (
    "does not answer: its interpreter is held by code that does not let go of it, or its process is stopped; the stacks"
    " are in its error log when hang_timeout ends it"
)
NOT_UNDERSTOOD = "wrote to its lifeline what cannot be understood, and can be asked for nothing any more"
# Of the built-in actions that write a file: how its name ends.
ENDINGS = {"profile": "svg"}


class ActionChannel:
    """One worker's lifeline. Owns `sock`, our end of the pair, non-blocking."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._socket = sock
        self._pending = PendingActions()
        self._inbox = b""
        self._outbox = b""
        self._silence = ""  # why no answer will come
        loop.add_reader(sock.fileno(), self._on_readable)

    async def run(self, call: ActionCall) -> ActionOutcome:
        """Ask the worker, and return its answer, or that there is none.

        Raises:
            FastlbError: the file for it cannot be created.
        """
        file = await call.open_file(ENDINGS[call.name]) if call.name in ENDINGS else None
        if self._silence or self._outbox:
            return ActionOutcome(False, self._silence or BLOCKED)
        number, waiting = self._pending.open()
        try:
            request = ActionRequest(number, call.name, call.param, call.begin_by, call.timeout, file is not None)
            if not self._send(msgspec.json.encode(request) + b"\n", [file.fd] if file else []):
                return ActionOutcome(False, BLOCKED)
            return await waiting.outcome(call.timeout, BLOCKED)
        finally:
            self._pending.close(number)

    def close(self) -> None:
        """Close our end: the worker, if it lives, is to end."""
        self._stop(ENDED)
        self._socket.close()

    def _send(self, line: bytes, fds: list[int]) -> bool:
        """Write a line; False: none of it was taken. What the socket does not take at once follows as it can."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self._outbox = line[self._socket.sendmsg([line], rights) :]
        except OSError:
            return False
        if self._outbox:
            self._loop.add_writer(self._socket.fileno(), self._flush)
        return True

    def _flush(self) -> None:
        try:
            self._outbox = self._outbox[self._socket.send(self._outbox) :]
        except BlockingIOError:
            return
        except OSError:
            self._outbox = b""
        if not self._outbox:
            self._loop.remove_writer(self._socket.fileno())

    def _on_readable(self) -> None:
        try:
            chunk = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._stop(f"{ENDED}, or it has closed the channel of actions")
            return
        *lines, self._inbox = (self._inbox + chunk).split(b"\n")
        if len(self._inbox) > MAX_LINE_BYTES or not all(map(self._take, lines)):
            self._stop(NOT_UNDERSTOOD)

    def _take(self, line: bytes) -> bool:
        """Take a line; False: it is none of ours."""
        try:
            message: ActionMessage = msgspec.json.decode(line, type=ActionMessage)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return False
        match message:
            case ActionBegun(number):
                self._pending.note_begun(number)
            case ActionAnswer():
                self._pending.end(message.number, _outcome(message))
        return True

    def _stop(self, reason: str) -> None:
        if self._silence:
            return
        self._silence = reason
        self._inbox = self._outbox = b""
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._pending.end_all(reason)


def _outcome(answer: ActionAnswer) -> ActionOutcome:
    return ActionOutcome(answer.ok, answer.text, answer.known, answer.is_unknown)
