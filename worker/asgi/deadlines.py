"""Owns how long an ASGI worker waits for a client: for a whole head, the next part of a body, the taking of a response.

Mixed in before uvicorn's protocol classes, which wait for ever but between two requests. Runs in ASGI workers, on the
event loop's thread. The times are the same as on the WSGI side (wsgi/connection.py). A request costs no timer: each
connection is looked at when its deadline passes, and the look finds out what it waits for.
"""

import asyncio
from typing import Any

from ..timeout_wheel import TimeoutWheel
from .bounded_sections import TIMED_OUT, Refusing


class Deadlines(Refusing):
    """A uvicorn protocol with deadlines; a subclass is made for each server, with `wheel` and `stall_timeout`.

    Attributes:
        wheel: the server's.
        stall_timeout: seconds.
        deadline, watched_tick: as TimeoutWheel wants them.
    """

    wheel: TimeoutWheel
    stall_timeout: float
    deadline = 0.0
    watched_tick = 0
    _head_since = 0.0  # since when a whole head is waited for; 0.0: none is
    _received_at = 0.0
    _held_back = False  # the client was not to send its body when we last looked
    _unsent_bytes = 0  # of what was written, when we last looked

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Wait for the first head."""
        super().connection_made(transport)  # type: ignore[misc]
        self._head_since = self.loop.time()
        self._look_at(self._head_since + self.stall_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self.deadline = 0.0
        self.wheel.forget(self)
        super().connection_lost(exc)  # type: ignore[misc]

    def handle_websocket_upgrade(self, *arguments: Any) -> None:
        """Leave the connection to the websocket's protocol, which has pings."""
        self.deadline = 0.0
        self.wheel.forget(self)
        super().handle_websocket_upgrade(*arguments)  # type: ignore[misc]

    def data_received(self, data: bytes) -> None:
        """Note when the client has sent something last, and since when a head is not complete."""
        super().data_received(data)  # type: ignore[misc]
        if self.awaits_head():
            self._head_since = self._head_since or self.loop.time()
            return
        self._head_since = 0.0
        if self.cycle.more_body:
            self._received_at = self.loop.time()
            self._held_back = self._is_held_back()

    def resume_writing(self) -> None:
        """Note that the client has taken something."""
        self._unsent_bytes = 0
        super().resume_writing()  # type: ignore[misc]

    def awaits_head(self) -> bool:
        """Say whether all that came is answered or being answered, but for a part of a head."""
        raise NotImplementedError

    def has_part_of_head(self) -> bool:
        """Say whether a part of a head has come."""
        raise NotImplementedError

    def on_deadline(self, now: float) -> None:
        """Act when the client has had its time, otherwise look again when it will have had it (the wheel calls it)."""
        unsent = self.transport.get_write_buffer_size()
        if unsent and unsent == self._unsent_bytes:
            self.transport.abort()
            return
        self._unsent_bytes = unsent
        since = self._waits_since(now)
        if since + self.stall_timeout > now:
            self._look_at(since + self.stall_timeout)
            return
        self._look_at(now + self.stall_timeout)
        self._give_up()

    def _waits_since(self, now: float) -> float:
        """Return since when the client is to send something; `now` when it owes nothing."""
        if self._refused or self.transport.is_closing():
            return now
        if self._head_since:
            if self.cycle is not None and not self.cycle.response_complete:
                self._head_since = now  # its answer is due first
            return self._head_since
        held_back, self._held_back = self._held_back, self._is_held_back()
        if held_back or self._held_back or not self.cycle.more_body or self.handed.has_unread():
            self._received_at = now
        return self._received_at

    def _is_held_back(self) -> bool:
        """Say whether the client waits for us before it sends (more of) its body."""
        return bool(self.flow.read_paused or self.cycle.waiting_for_100_continue)

    def _give_up(self) -> None:
        """Answer 408 to a part of a request that has no response yet; otherwise only close."""
        if not self._head_since:
            self.refuse_current(is_first=not getattr(self, "pipeline", None), answer=TIMED_OUT)
        elif self.has_part_of_head():
            self._refused = True
            self.answer_and_close(TIMED_OUT)
        else:
            self.transport.close()

    def _look_at(self, deadline: float) -> None:
        self.deadline = deadline
        self.wheel.watch(self)
