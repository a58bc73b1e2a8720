"""Owns one connection of a browser, and which other one is closed for it when there are too many. Runs in the user's
shell.

Browsers keep connections open that they may never use again, and anybody may open some and say nothing. What is idle
longest makes room; what is being answered is never closed.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol, TypeVar

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 64


class Rankable(Protocol):
    """What may be closed. `is_idle`: nothing is being answered there; `used_at`: when something last was."""

    used_at: float

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer there."""


Ranked = TypeVar("Ranked", bound=Rankable)


def first_to_go(connections: Iterable[Ranked], most: int) -> list[Ranked]:
    """Return those that are to be closed so that at most `most` are left, as far as that many are idle."""
    found = list(connections)
    idle = sorted((one for one in found if one.is_idle), key=lambda one: one.used_at)
    return idle[: max(len(found) - most, 0)]


class Connection(H11Protocol):
    """HTTP/1.1 with one browser. `used_at`: when it came, or the last answer was complete, by the loop's clock."""

    used_at = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the one below
        """Close those that are idle longest if there are too many; the new one stays."""
        super().connection_made(transport)
        self.used_at = self.loop.time()
        others = [one for one in self.connections if isinstance(one, Connection) and one is not self]
        for one in first_to_go(others, MAX_CONNECTIONS - 1):
            if one.transport.get_write_buffer_size():  # it does not read: a close would wait for it
                one.transport.abort()
            else:
                one.transport.close()
            self.connections.discard(one)  # now, not when its end is heard of: it counts as one that is open

    def on_response_complete(self) -> None:
        """Be idle from here on."""
        self.used_at = self.loop.time()
        super().on_response_complete()
