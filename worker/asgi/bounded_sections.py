"""Owns the bound on what a request has besides its body: head, trailers, lines of chunks. 431 above it.

What is for no HTTP server is refused here, too: other protocols' requests, an asterisk for anything but OPTIONS.
Mixed in before uvicorn's protocol classes, which bound none of it (httptools) or answer 400 (h11: bounded_h11.py). Runs
in ASGI workers, on the event loop's thread. Never calls the app for what is refused, and never writes into a response
that is under way.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastlb.lb.inbox import HandedSocket
from uvicorn import Config

from ..other_protocols import find_other_protocol

TOO_LONG_TEXT = b"Request Header Fields Too Large"
REFUSAL = (
    b"HTTP/1.1 %d %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
)
TOO_LONG = REFUSAL % (431, TOO_LONG_TEXT, len(TOO_LONG_TEXT), TOO_LONG_TEXT)
BAD_REQUEST = REFUSAL % (400, b"Bad Request", len(b"Bad Request"), b"Bad Request")
TIMED_OUT = REFUSAL % (408, b"Request Timeout", len(b"Request Timeout"), b"Request Timeout")
TOO_LONG_STATUS = 431
# After a refusal: how long what the client still sends is thrown away, so that it can read why.
LINGER = 2.0
# Whole requests that may wait behind the one that is answered; what comes after them stays bytes.
WAITING_LIMIT = 32
# What is read at once of many small requests: so many may begin in it that WAITING_LIMIT is not exceeded by far.
PIECE_BYTES = 512
HEAD_END = b"\r\n\r\n"

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Refusing:
    """A uvicorn protocol that can refuse what its client sends."""

    # of uvicorn's protocol classes
    config: Config
    connections: set[Any]
    loop: asyncio.AbstractEventLoop
    transport: Any
    cycle: Any
    flow: Any
    handed: HandedSocket
    _refused = False

    def refuse_after_responses(self, answer: bytes = TOO_LONG) -> None:
        """Answer so once all responses before it are complete; read nothing more."""
        self._refused = True
        if self.cycle is None or self.cycle.response_complete:
            self.answer_and_close(answer)
        else:
            self.cycle.on_response = partial(self.answer_and_close, answer)

    def refuse_current(self, is_first: bool, answer: bytes = TOO_LONG) -> None:
        """Answer a request whose body is being read; only close where a response has begun or is due before."""
        self._refused = True
        if self.cycle.response_started or not is_first:
            self.transport.close()
            return
        # Nothing that the app still sends may follow; it is told that the client is gone.
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        self.answer_and_close(answer)

    def answer_and_close(self, answer: bytes) -> None:
        """Write the response, close our half and read on for a while: closing with unread bytes would reset it."""
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(LINGER, self.transport.close)
        else:
            self.transport.close()


class BoundedHttpTools(Refusing):
    """Mixed in before uvicorn's httptools protocol.

    Each byte counts that came since the last one of a body. The parser does not tell where in `data` a message begins,
    so a head or trailer that does not begin with `data` counts from the next piece on, until it is complete.
    """

    pipeline: deque[Any]
    scope: Any
    app: Any
    parser: Any
    url: bytes
    _bodiless_bytes = 0
    _unread = b""  # what came behind WAITING_LIMIT requests; reading is paused

    def data_received(self, data: bytes) -> None:
        """Parse `data` in pieces of at most the limit: what ends within the piece in which it began is short enough."""
        limit = self.config.h11_max_incomplete_event_size or 0
        if self._unread or data.count(HEAD_END) > WAITING_LIMIT:
            self._receive_pieces(self._unread + data, limit)
            return
        if len(data) <= limit:
            self._receive(data, limit)
            return
        for start in range(0, len(data), limit):
            if self not in self.connections or self.transport.is_closing():
                return  # after an upgrade the rest is not ours
            self._receive(data[start : start + limit], limit)

    def on_response_complete(self) -> None:
        """Read on when nothing waits any more (uvicorn's cycle calls it)."""
        super().on_response_complete()  # type: ignore[misc]
        if self._unread and not self.pipeline:
            unread, self._unread = self._unread, b""
            self.data_received(unread)
        if self.pipeline or self._unread:
            self.flow.pause_reading()  # uvicorn reads on after each response

    def awaits_head(self) -> bool:
        """Say whether all that came is answered or being answered, but for a part of a head."""
        cycle = self.cycle
        return cycle is None or cycle.scope is not self.scope or (cycle.response_complete and not cycle.more_body)

    def has_part_of_head(self) -> bool:
        """Say whether a part of a head has come."""
        return self._is_in_head()

    def on_headers_complete(self) -> None:
        """Refuse what no app is to see: the parser makes it 400. (The parser calls it.)"""
        if self.url == b"*" and self.parser.get_method() != b"OPTIONS":
            raise ValueError("the asterisk is a target of OPTIONS only (RFC 9112 3.2.4)")
        super().on_headers_complete()  # type: ignore[misc]

    def on_body(self, body: bytes) -> None:
        """Count anew after each part of a body (the parser calls it)."""
        self._bodiless_bytes = 0
        super().on_body(body)  # type: ignore[misc]

    def _receive_pieces(self, data: bytes, limit: int) -> None:
        """Read of `data` what WAITING_LIMIT has room for; keep the rest."""
        at, size = 0, min(PIECE_BYTES, limit)
        while at < len(data) and len(self.pipeline) < WAITING_LIMIT:
            if self not in self.connections or self.transport.is_closing():
                return
            self._receive(data[at : at + size], limit)
            at += size
        self._unread = data[at:]

    def _receive(self, data: bytes, limit: int) -> None:
        if (at := find_other_protocol(data)) >= 0:
            self._parse(data[:at], limit)
            is_in_message = self._is_in_head() or (self.cycle is not None and self.cycle.more_body)
            if not is_in_message and not self._refused:
                self.refuse_after_responses(BAD_REQUEST)
            data = data[at:]
        self._parse(data, limit)

    def _parse(self, data: bytes, limit: int) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._bodiless_bytes += len(data)
        if self._is_in_head():
            # It may become complete in this piece, and too long.
            self.app = CheckedHead(self.app, limit)
            super().data_received(data)  # type: ignore[misc]
            self.app = self.app.app
        else:
            super().data_received(data)  # type: ignore[misc]
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.more_body:
            self._bodiless_bytes = 0  # the request is complete
        elif self._bodiless_bytes > limit:
            if self._is_in_head():
                self.refuse_after_responses()
            else:
                self.refuse_current(is_first=not self.pipeline)

    def _is_in_head(self) -> bool:
        return self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope)


class CheckedHead:
    """An ASGI app in front of `app` which answers 431 to a request with a head above `limit` bytes."""

    def __init__(self, app: Any, limit: int) -> None:
        self.app = app
        self._limit = limit

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """Answer, or leave it to the app."""
        length = len(scope["raw_path"]) + len(scope["query_string"])
        length += sum(len(name) + len(value) + len(": \r\n") for name, value in scope["headers"])
        if length <= self._limit:
            await self.app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        headers.append((b"content-length", str(len(TOO_LONG_TEXT)).encode()))
        await send({"type": "http.response.start", "status": TOO_LONG_STATUS, "headers": headers})
        await send({"type": "http.response.body", "body": TOO_LONG_TEXT})
