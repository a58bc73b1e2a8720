"""Owns the quiet drain: how a worker stops without a client noticing. Runs in workers, on the event loop's
thread.

No new connection comes any more, but the clients of the old ones do not know: one may be about to send its
first request, another the next one on a kept connection. So nobody is cut off: responses say `connection:
close`, kept connections end by their own keep-alive timeout, and connections without a request get as long.
When the whole app ends both get only the time that a request needs which is on its way already. Nothing is polled.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from fastlb.lb.inbox import ConnectionInbox

# Of a worker whose supervisor is gone, seconds: nobody hands connections over any more; one that is here already should
# still get its answer.
ORPHAN_QUIET_TIME = 1.0
# When the whole app ends, seconds: a round trip to the other side of the world, so that whoever was let in can ask.
APP_END_GRACE = 0.3


class Drainable(Protocol):
    """What a server can do for its drain."""

    def announce_end(self) -> None:
        """Let every response from now on say that its connection ends."""

    def end_unused(self) -> None:
        """Close connections that never began a request, and tell those that never end by themselves."""

    def shorten_keep_alive(self, seconds: float) -> None:
        """Keep connections that become idle from now on for no longer than this."""

    def end_idle(self) -> None:
        """Close kept connections on which nothing of another request has arrived."""

    def is_empty(self) -> bool:
        """Say whether no connection is being served; one in its TLS handshake is not."""


class QuietDrain:
    """Drains `server`, then calls `on_end` once.

    Args:
        loop: the event loop.
        inbox: where the connections came from; tells when one closes.
        server: whose connections they are.
        on_end: called when there is nothing left to wait for.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        inbox: ConnectionInbox,
        server: Drainable,
        on_end: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._inbox = inbox
        self._server = server
        self._on_end = on_end
        self._timer: asyncio.TimerHandle | None = None
        self._app_ends = False
        self._quiet_is_over = False
        self._ended = False

    @property
    def begun(self) -> bool:
        """Whether the drain has begun."""
        return self._timer is not None

    def begin(self, quiet_time: float) -> None:
        """Drain; connections without a request are closed after `quiet_time`. Twice is the same as once."""
        if self.begun:
            return
        self._server.announce_end()
        self._timer = self._loop.call_later(quiet_time, self._on_quiet_over)
        self._inbox.on_close = self._on_close
        if self._app_ends:
            self._wait_no_longer_than_grace()
        self._look()

    def end_with_app(self) -> None:
        """Wait for no client that asks nothing: the whole app ends. Does not begin the drain; may be called before.

        What lies in the connection channel is to be taken first, and the channel's own end says when that is done.
        """
        if self._app_ends:
            return
        self._app_ends = True
        if self.begun:
            self._wait_no_longer_than_grace()

    def hurry(self, quiet_time: float) -> None:
        """End after `quiet_time` whatever is still there: for a worker whose supervisor is gone."""
        self.begin(quiet_time)
        self._loop.call_later(quiet_time, self._end)

    def _wait_no_longer_than_grace(self) -> None:
        self._server.shorten_keep_alive(APP_END_GRACE)
        self._loop.call_later(APP_END_GRACE, self._on_grace_over)

    def _on_grace_over(self) -> None:
        self._server.end_idle()
        self._on_quiet_over()

    def _on_close(self) -> None:
        # The closing transport is still on the stack, and the server has not forgotten it yet.
        self._loop.call_soon(self._look)

    def _on_quiet_over(self) -> None:
        self._quiet_is_over = True
        self._server.end_unused()
        self._look()

    def _look(self) -> None:
        if self._inbox.status.open == 0 or (self._quiet_is_over and self._server.is_empty()):
            self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._inbox.on_close = None
            self._on_end()
