"""Owns the reading of the connection channel: an asyncio server whose connections arrive instead of being
accepted.

Runs in Python workers, ASGI and WSGI, on the event loop's thread. Takes from the channel no more than can begin at
once, and has it begun before it takes more: what lies in the channel can be given to another worker, what was taken
cannot. Never waits, and stops reading while descriptors are short.
"""

import asyncio
import select
from collections.abc import Callable

from fastlb.lb.inbox import ConnectionInbox
from fastlb.worker.transport.socket_transport import SocketPoller
from fastlb.worker.turn_meter import TurnMeter

from .transport.adopter import Adopter


class ChannelServer(asyncio.AbstractServer):
    """Serves the connections of one channel.

    Args:
        loop: the event loop.
        inbox: the worker's end of the channel.
        adopter: begins with what was taken, before the loop looks at the channel again.
        longest_turn: seconds that what is taken at once may hold the loop.
        on_eof: called once, when the dispatcher has ended the channel and all in it is taken: drain now.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        inbox: ConnectionInbox,
        adopter: Adopter | SocketPoller,
        longest_turn: float,
        on_eof: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._inbox = inbox
        self._adopter = adopter
        self._meter = TurnMeter(inbox.status, longest_turn)
        self._on_eof = on_eof
        self._reading = False
        self._closed = False
        self._end_watch: select.epoll | None = None
        inbox.on_room = lambda: loop.call_soon(self._on_room)

    async def start_serving(self) -> None:
        """Begin to take connections."""
        if self._inbox.capacity:
            self._watch_end()
        self._read()

    async def serve_forever(self) -> None:
        """Take connections until cancelled."""
        self._read()
        await self._loop.create_future()

    def is_serving(self) -> bool:
        """Say whether connections are taken now."""
        return self._reading

    def close(self) -> None:
        """Take no more connections; what lies in the channel is the dispatcher's to give to others."""
        self._closed = True
        self._pause()
        self._unwatch_end()

    async def wait_closed(self) -> None:
        """Return at once: closing needs no time."""

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop."""
        return self._loop

    def serve_uncounted(self, fd: int, port: int, listener_id: int) -> None:
        """Serve a connection that did not come from the dispatcher, owning `fd`: a health check.

        `port`: of the client, which is on this machine; 0: a unix socket. `listener_id`: where it shall have come from.
        """
        handed = self._inbox.adopt(fd, port, listener_id)
        if self._closed:
            handed.abandon()
        else:
            self._adopter.adopt(handed)

    def _read(self) -> None:
        if not self._closed and not self._reading:
            self._reading = True
            self._loop.add_reader(self._inbox.fileno(), self._on_readable)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._inbox.fileno())

    def _watch_end(self) -> None:
        """Watch for the end of the channel, which is to be seen also while it is not read because all are busy."""
        self._end_watch = select.epoll()
        self._end_watch.register(self._inbox.fileno(), select.EPOLLRDHUP)
        self._loop.add_reader(self._end_watch.fileno(), self._on_end_in_sight)

    def _unwatch_end(self) -> None:
        if self._end_watch is not None:
            self._loop.remove_reader(self._end_watch.fileno())
            self._end_watch.close()
            self._end_watch = None

    def _on_end_in_sight(self) -> None:
        # What still lies there is for this worker, as there is no other.
        self._unwatch_end()
        self._inbox.bound_busy(0)
        self._read()

    def _on_room(self) -> None:
        """Take what has come while nothing could be taken; look at the channel again if that was not enough."""
        if self._closed or self._reading:
            return
        self._take()
        if not self._inbox.full and not self._inbox.pressed:
            self._read()

    def _on_readable(self) -> None:
        if self._inbox.full:
            self._pause()  # it waits for the next that is done, or is taken back
        else:
            self._take()

    def _take(self) -> None:
        self._meter.begin()
        taken = self._inbox.receive(self._meter.most)
        if not taken:
            self._on_nothing_taken()
            return
        for handed in taken:
            self._adopter.adopt(handed)
        if self._adopter.begins_at_once:
            self._meter.end(len(taken), self._inbox.missed)
        else:
            # The loop calls it when it has called all that adopt() left to be called.
            self._loop.call_soon(self._meter.end, len(taken), self._inbox.missed)

    def _on_nothing_taken(self) -> None:
        if self._inbox.ended:
            self.close()
            self._on_eof()
        elif self._inbox.pressed:
            self._pause()
