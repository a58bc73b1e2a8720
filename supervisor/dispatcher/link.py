"""Owns the supervisor's end of a dispatcher's control channel: commands out, events in.

Runs in the supervisor process. A dispatcher that does not read for a while delays commands, never loses or
reorders them, and never blocks us.
"""

import array
import asyncio
import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence

from ...lb.command import LONGEST_EVENT_BYTES, DispatcherEvent, decode_event

# sendmsg says ETOOMANYREFS while too many descriptors of a user are in flight; no event tells when not.
RETRY_DELAY = 0.01
EVENTS_PER_TURN = 64


class DispatcherLink:
    """One control channel. Owns `sock` (SEQPACKET, non-blocking) and the queue of commands that it did not take yet.

    `is_understood`: every event that came was one that we know.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_event: Callable[[DispatcherEvent], None],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self.is_understood = True
        self._on_event = on_event
        self._queue: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._retry: asyncio.TimerHandle | None = None
        loop.add_reader(sock.fileno(), self._on_readable)

    def send(self, command: bytes, fds: Sequence[int] = ()) -> None:
        """Send a command with borrowed descriptors, after the commands that wait."""
        if self._queue or not self._try_send(command, fds):
            # Whoever lent us the descriptors may close them before it is their turn.
            self._queue.append((command, tuple(os.dup(fd) for fd in fds)))
            self._wait_for_room()

    def take_last_words(self) -> None:
        """Read what a dispatcher that has exited left behind."""
        while self._sock.fileno() >= 0 and self._read_event():
            pass

    def close(self) -> None:
        """Close the channel; what still waits is dropped. May be called twice."""
        if self._sock.fileno() < 0:
            return
        self._stop_waiting()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        while self._queue:
            self._forget_first()

    def _try_send(self, command: bytes, fds: Sequence[int]) -> bool:
        """Whether the command is done with: sent, or nobody is there any more to read it."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self._sock.sendmsg([command], rights)
        except BlockingIOError:
            return False
        except OSError as error:
            # Otherwise it is dead or dying: its pidfd says so, and a successor is told everything.
            return error.errno not in (errno.ETOOMANYREFS, errno.ENOBUFS)
        return True

    def _flush(self) -> None:
        self._stop_waiting()
        while self._queue:
            command, fds = self._queue[0]
            if not self._try_send(command, fds):
                self._wait_for_room()
                return
            self._forget_first()

    def _forget_first(self) -> None:
        _, fds = self._queue.popleft()
        for fd in fds:
            os.close(fd)

    def _wait_for_room(self) -> None:
        if self._retry is None:
            self._loop.add_writer(self._sock.fileno(), self._flush)
            self._retry = self._loop.call_later(RETRY_DELAY, self._flush)

    def _stop_waiting(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
            self._loop.remove_writer(self._sock.fileno())

    def _on_readable(self) -> None:
        for _ in range(EVENTS_PER_TURN):
            if self._sock.fileno() < 0 or not self._read_event():
                return

    def _read_event(self) -> bool:
        """Read one event; return whether there may be another."""
        try:
            data = self._sock.recv(LONGEST_EVENT_BYTES + 1)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._sock.fileno())
            return False
        try:
            event = decode_event(data)
        except ValueError:
            self.is_understood = False
            return True  # an event that a newer dispatcher invented is none for us
        self._on_event(event)
        return True
