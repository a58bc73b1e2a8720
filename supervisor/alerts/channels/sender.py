"""Owns what waits for one channel, and trying again. Runs in the supervisor process, on its event loop.

One message at a time is on its way. One that is not taken is tried again after a pause that doubles; what waits behind
it is bounded, and the oldest is lost first.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from ...output.event_log import EventLog
from ..handover import Backlog
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
        self._waiting: deque[Message] = deque()  # the first one may be on its way
        self._task: asyncio.Task[None] | None = None
        self._tries = 0
        self._failures = 0
        self._reason = ""
        self._is_trying = self._is_set_down = False

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
            del self._waiting[1 if self._is_trying or self._tries else 0]
            self._lose("too many wait")
        self._waiting.append(message)
        if not self.is_busy:
            self._begin()

    def inherit(self, left: Backlog) -> None:
        """Begin with what waits for the channel of another supervisor, whose tries count."""
        self._waiting.extend(left.messages[-MOST_WAITING:])
        self._tries = min(max(left.tries, 0), MOST_TRIES - 1)
        self._failures, self._reason = max(left.failures, 0), left.reason
        self._begin()

    async def set_down(self, seconds: float) -> Backlog:
        """Try nothing any more until `take_up`; return what waits. A try that is under way has so long to end."""
        self._is_set_down = True
        if self._task and self._is_trying:
            await asyncio.wait({self._task}, timeout=seconds)
        if self._task:
            self._task.cancel()
        return Backlog(
            channel=self.channel.title,
            messages=list(self._waiting),
            tries=self._tries,
            failures=self._failures,
            reason=self._reason,
        )

    def take_up(self) -> None:
        """Go on with what was set down."""
        self._is_set_down = False
        self._begin()

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

    def _begin(self) -> None:
        if self._waiting and not self._is_set_down:
            self._task = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._waiting and not self._is_set_down:
            if await self._try(self._waiting[0]) or self._tries >= MOST_TRIES:
                self._waiting.popleft()
                self._tries = 0
            elif not self._is_set_down:
                await asyncio.sleep(self._pause(self._failures))

    async def _try(self, message: Message) -> bool:
        """Return whether a message was taken."""
        self._is_trying = True
        try:
            reason = self._note(await self._deliver(self.channel, message))
        finally:
            self._is_trying = False
        self._tries += 1
        if reason and self._tries >= MOST_TRIES:
            self._lose(reason)
        return not reason

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
