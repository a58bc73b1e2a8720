"""Owns what waits for one channel, and trying again. Runs in the supervisor process, on its event loop.

One message at a time is on its way. One that is not taken is tried again after a pause that doubles; what waits behind
it is bounded, and the oldest is lost first.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from ...output.event_log import EventLog
from ..message import Message
from .channel import Channel

MOST_WAITING = 16
MOST_TRIES = 12
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
# So many failures in a row, and the channel counts as dead.
FAILURES = 3

Deliver = Callable[[Channel, Message], Awaitable[str]]


def pause_after(failures: int) -> float:
    """Return the seconds before the next try after so many failures in a row, one at least."""
    return min(FIRST_PAUSE * 2.0 ** min(failures - 1, 30), LONGEST_PAUSE)


class Sender:
    """Tells by one channel.

    Args:
        channel: by which.
        deliver: tells; returns "" or why it could not, and raises nothing.
        log: is told of what was not taken.
        pause: as `pause_after`.
    """

    def __init__(
        self, channel: Channel, deliver: Deliver, log: EventLog, pause: Callable[[int], float] = pause_after
    ) -> None:
        self.channel = channel
        self._deliver = deliver
        self._log = log
        self._pause = pause
        self._waiting: deque[Message] = deque()
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._reason = ""

    @property
    def problem(self) -> str:
        """Why nothing has been taken several times in a row; "": something was, or was hardly tried."""
        return self._reason if self._failures >= FAILURES else ""

    @property
    def is_busy(self) -> bool:
        """Whether something waits, or is on its way."""
        return self._task is not None and not self._task.done()

    def put(self, message: Message) -> None:
        """Tell as soon as what came before has been told, or given up."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._lose("too many wait")
        self._waiting.append(message)
        if not self.is_busy:
            self._task = asyncio.create_task(self._send_all())

    async def send_now(self, message: Message) -> str:
        """Tell once, whatever waits; return "" or why it was not taken."""
        return self._note(await self._deliver(self.channel, message))

    def close(self) -> None:
        """Give up what waits."""
        self._waiting.clear()
        if self._task:
            self._task.cancel()

    async def finish(self) -> None:
        """Return when nothing waits any more."""
        if self._task:
            await asyncio.wait({self._task})

    async def _send_all(self) -> None:
        while self._waiting:
            await self._send(self._waiting.popleft())

    async def _send(self, message: Message) -> None:
        for _ in range(MOST_TRIES):
            if not self._note(await self._deliver(self.channel, message)):
                return
            await asyncio.sleep(self._pause(self._failures))
        self._lose(self._reason)

    def _note(self, reason: str) -> str:
        if reason:
            self._failures += 1
            self._reason = reason
            self._log.warning("alert_not_sent", channel=self.channel.title, reason=reason)
        else:
            self._failures, self._reason = 0, ""
        return reason

    def _lose(self, reason: str) -> None:
        self._log.error("alert_lost", channel=self.channel.title, reason=reason)
