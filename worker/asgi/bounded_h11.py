"""Owns the bound on head and trailers for the h11 parser: 431 above it, as for httptools (bounded_sections.py).

Runs in ASGI workers that were started with `--http h11`, on the event loop's thread. Imported there only.
"""

import sys
from typing import Any

import h11

from .bounded_sections import TOO_LONG, TOO_LONG_STATUS, Refusing


class BoundedH11Connection(h11.Connection):
    """A connection of h11 that bounds complete heads and trailers as well; h11 itself bounds the incomplete ones."""

    def next_event(self) -> Any:
        """Return the next event. Raises h11.RemoteProtocolError, with the status to answer with."""
        waiting = len(self._receive_buffer)
        event = super().next_event()
        taken = waiting - len(self._receive_buffer)
        if taken > self._max_incomplete_event_size and isinstance(event, h11.Request | h11.EndOfMessage):
            raise h11.RemoteProtocolError("too long", error_status_hint=TOO_LONG_STATUS)
        if isinstance(event, h11.Request) and event.target == b"*" and event.method != b"OPTIONS":
            raise h11.RemoteProtocolError("the asterisk is a target of OPTIONS only (RFC 9112 3.2.4)")
        return event


class BoundedH11(Refusing):
    """Mixed in before uvicorn's h11 protocol."""

    conn: h11.Connection

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn = BoundedH11Connection(h11.SERVER, self.config.h11_max_incomplete_event_size or 0)

    def data_received(self, data: bytes) -> None:
        """Parse `data`, unless the connection is only kept so that the client can read a refusal."""
        if not self._refused:
            super().data_received(data)  # type: ignore[misc]

    def awaits_head(self) -> bool:
        """Say whether all that came is answered or being answered, but for a part of a head."""
        return self.conn.their_state is h11.IDLE

    def has_part_of_head(self) -> bool:
        """Say whether a part of a head has come."""
        return bool(self.conn.trailing_data[0])

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed; 431 where h11 says so."""
        if getattr(sys.exception(), "error_status_hint", 400) != TOO_LONG_STATUS:
            super().send_400_response(msg)  # type: ignore[misc]
        elif self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refused = True
            self.answer_and_close(TOO_LONG)
        else:
            self.transport.close()
