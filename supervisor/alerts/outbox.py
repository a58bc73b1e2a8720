"""Owns everybody who is told of the alerts of an app. Runs in the supervisor process, on its event loop."""

import asyncio
from collections.abc import Sequence

from ..output.event_log import EventLog
from .channels.channel import Channel
from .channels.sender import Deliver, Sender
from .handover import Backlog
from .message import Message


class Outbox:
    """Tells by all channels; one that is dead holds up no other.

    Args:
        deliver: as of Sender.
        log: is told of what was not taken.
    """

    def __init__(self, deliver: Deliver, log: EventLog) -> None:
        self._deliver = deliver
        self._log = log
        self._senders: dict[Channel, Sender] = {}
        self._inherited: dict[str, Backlog] = {}

    def inherit(self, backlogs: Sequence[Backlog]) -> None:
        """Tell what waits for another supervisor's channels, as soon as those that are followed have their titles."""
        self._inherited = {backlog.channel: backlog for backlog in backlogs}

    async def set_down(self, seconds: float) -> list[Backlog]:
        """Tell nobody until `take_up`; return what waits. A try that is under way has so long to end."""
        return list(await asyncio.gather(*(sender.set_down(seconds) for sender in self._senders.values())))

    def take_up(self) -> None:
        """Go on with what was set down."""
        for sender in self._senders.values():
            sender.take_up()

    def follow(self, channels: Sequence[Channel]) -> None:
        """Tell by these channels from here on; what waits for another is given up."""
        for channel in [channel for channel in self._senders if channel not in channels]:
            self._senders.pop(channel).close()
        for channel in channels:
            if channel not in self._senders:
                self._senders[channel] = Sender(channel, self._deliver, self._log)
                if left := self._inherited.get(channel.title):
                    self._senders[channel].inherit(left)
        self._inherited = {}

    def put(self, message: Message) -> None:
        """Tell all."""
        for sender in self._senders.values():
            sender.put(message)

    def problems(self) -> list[tuple[str, str]]:
        """Return the title of each channel, and why it is dead, or ""."""
        return [(channel.title, sender.problem) for channel, sender in self._senders.items()]

    async def test(self, message: Message) -> list[tuple[str, str]]:
        """Tell all at once, now; return the title of each channel, and why it took nothing, or ""."""
        senders = list(self._senders.values())
        reasons = await asyncio.gather(*(sender.send_now(message) for sender in senders))
        return [(sender.channel.title, reason) for sender, reason in zip(senders, reasons, strict=True)]

    async def finish(self, seconds: float) -> None:
        """Wait until nothing waits any more, for a bounded time; what is left is given up."""
        busy = [asyncio.create_task(sender.finish()) for sender in self._senders.values() if sender.is_busy]
        if busy:
            await asyncio.wait(busy, timeout=seconds)
        for task in busy:
            task.cancel()
        self.close()

    def close(self) -> None:
        """Give up what waits."""
        for sender in self._senders.values():
            sender.close()
