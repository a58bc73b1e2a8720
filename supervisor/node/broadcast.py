"""Owns the forwarding of messages between the Node workers of an app: what one sends goes to all others.

Runs in the supervisor process, for apps that ask for it (`broadcast`). Node's primary forwards nothing by itself; code
of the app would do it there, and there is none in ours. What is forwarded is encoded anew, so that no worker can write
lines that mean something to another one's Node.
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from ..output.event_log import EventLog
from .messages import encode_user_message

# The kernel queues a line of so many bytes whole or not at all (unix(7); one buffer of a stream socket), and the
# dispatcher writes to the same channel: a part of a longer line might be followed by a line of its own.
LONGEST_LINE_BYTES = 32768
# What may wait for a worker that does not read.
MOST_WAITING_BYTES = 1024 * 1024
SECONDS_BETWEEN_WARNINGS = 60.0


class WorkerMailbox:
    """What other workers have sent to one: written to its channel, whole lines only, as fast as it reads.

    Args:
        loop: the event loop.
        channel: the worker's IPC channel, non-blocking; borrowed until `close`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, channel: socket.socket) -> None:
        self._loop = loop
        self._channel = channel
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._closed = False

    def put(self, line: bytes) -> bool:
        """Send `line`, now or when there is room; False: too much waits already. It is lost when the worker ends."""
        if self._waiting_bytes + len(line) > MOST_WAITING_BYTES:
            return False
        if self._closed or (not self._waiting and self._try_send(line)):
            return True
        if not self._waiting:
            self._loop.add_writer(self._channel.fileno(), self._flush)
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        return True

    def close(self) -> None:
        """Drop what waits. Before the channel is closed; may be called twice."""
        if self._waiting:
            self._loop.remove_writer(self._channel.fileno())
        self._waiting.clear()
        self._waiting_bytes = 0
        self._closed = True

    def _flush(self) -> None:
        while self._waiting and self._try_send(self._waiting[0]):
            if self._waiting:
                self._waiting_bytes -= len(self._waiting.popleft())
                if not self._waiting:
                    self._loop.remove_writer(self._channel.fileno())

    def _try_send(self, line: bytes) -> bool:
        """Return whether the line is done with: queued by the kernel, or there is nobody to read it."""
        try:
            self._channel.send(line)
        except BlockingIOError:
            return False
        except OSError:
            self.close()  # its end is closed; whoever reads the channel says so
        return True


class Broadcast:
    """Forwards and counts.

    Attributes:
        forwarded: messages that were taken from a worker for all others.
        dropped: messages that one worker did not get: too long, or it did not read for too long.
    """

    def __init__(self, log: EventLog) -> None:
        self.forwarded = 0
        self.dropped = 0
        self._log = log
        self._warned_at = -SECONDS_BETWEEN_WARNINGS

    def forward(self, worker_id: int, message: Any, others: Iterable[WorkerMailbox]) -> None:
        """Send `message` of a worker to `others`."""
        self.forwarded += 1
        line = encode_user_message(message)
        if len(line) > LONGEST_LINE_BYTES:
            dropped, reason = len(list(others)), f"it is longer than {LONGEST_LINE_BYTES} bytes"
        else:
            dropped = [mailbox.put(line) for mailbox in others].count(False)
            reason = "another worker does not read its messages"
        if dropped:
            self.dropped += dropped
            self._warn(worker_id, reason)

    def _warn(self, worker_id: int, reason: str) -> None:
        now = time.monotonic()
        if now - self._warned_at >= SECONDS_BETWEEN_WARNINGS:
            self._warned_at = now
            self._log.warning("message_dropped", worker_id=worker_id, reason=reason)
