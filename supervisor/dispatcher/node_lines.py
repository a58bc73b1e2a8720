"""Owns the lines that pass through a dispatcher: from the supervisor to a Node worker, and back in parts.

Runs in the supervisor. A line is never looked into here.
"""

from collections.abc import Sequence

from ...lb.command import DispatcherEvent, encode_probe, encode_send
from .wanted import WantedState


class NodeLines:
    """What is written to Node workers and what they write; `wanted` (borrowed) says which there are."""

    def __init__(self, wanted: WantedState) -> None:
        self._wanted = wanted
        # Of a line that is not whole yet: incarnation and parts, by slot. The dispatcher bounds its length.
        self._unfinished: dict[int, tuple[int, list[bytes]]] = {}

    def say(self, slot: int, line: bytes, fds: Sequence[int] = ()) -> bool:
        """Write a line to a Node worker, with at most one borrowed descriptor; False: there is no dispatcher now.

        Raises:
            ValueError: it is too long.
        """
        command = encode_send(slot, self._incarnation_in(slot), line)
        if self._wanted.link:
            self._wanted.link.send(command, fds)
        return self._wanted.link is not None

    def probe(self, slot: int) -> None:
        """Ask a Node worker for a sign of life, unless it owes one."""
        if self._wanted.link:
            self._wanted.link.send(encode_probe(slot, self._incarnation_in(slot)))

    def join(self, event: DispatcherEvent) -> DispatcherEvent | None:
        """Take a part of a line (WORKER_MESSAGE); return the event with the whole line once this was its end."""
        incarnation, parts = self._unfinished.get(event.slot, (event.incarnation, []))
        if incarnation != event.incarnation:
            parts = []  # of a worker that was in this slot before
        parts.append(event.text)
        if event.goes_on:
            self._unfinished[event.slot] = (event.incarnation, parts)
            return None
        self._unfinished.pop(event.slot, None)
        return event._replace(text=b"".join(parts))

    def forget_parts(self) -> None:
        """Drop what a dead dispatcher began to pass on: the rest is lost with it."""
        self._unfinished.clear()

    def _incarnation_in(self, slot: int) -> int:
        incarnation = self._wanted.incarnation_in(slot)
        if incarnation is None:
            raise KeyError(slot)
        return incarnation
