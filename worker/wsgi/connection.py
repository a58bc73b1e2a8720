"""Owns one client connection of a WSGI worker: requests in, responses out in order, deadlines, end.

Runs in the event loop's thread of a worker process, and never blocks it: RequestReader parses, the app runs in
an Exchange, and what waits for the client lies in the exchange's Outbox. What the connection waits for is its
ConnectionState, which only `_enter` changes.
"""

import asyncio
import logging
import os
import socket
import struct
from collections import deque
from http import HTTPStatus
from time import monotonic_ns
from typing import Any, Protocol

from fastlb.worker.wsgi.answered_exchange import AnsweredExchange

from .connection_state import ConnectionState, arrival_state
from .environ import Environ
from .exchange import Exchange
from .file_sender import FileSender
from .outbox import SLICE_BYTES
from .request_reader import Refused, RequestReader
from .service import GRACE, IMPATIENCE, LINGER, Service

logger = logging.getLogger("fastlb.worker")

# Plain names: looked up for every request.
NEW, HEAD, BODY, IDLE, ANSWERING, LINGERING, CLOSING, CLOSED = ConnectionState

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds
# How much an encrypted transport may hold; a plain one holds what the kernel did not take of the last
# write.
SECURE_BUFFER_BYTES = 256 * 1024
# Whole requests that may wait behind the one that is answered; what comes after them stays bytes.
WAITING_LIMIT = 32
# What is read at once of many small requests: so many may begin in it that WAITING_LIMIT is not exceeded by far.
PIECE_BYTES = 512
# After so much no more is read of one client in the same turn of the loop, which would read up to 8 MiB of a quick one.
TURN_BYTES = 64 * 1024
HEAD_END = b"\r\n\r\n"


class Occupant(Protocol):
    """A taken connection's place in the worker's capacity; taken at hand-over. Both are idempotent."""

    def occupy(self) -> None:
        """Count as busy."""

    def release(self) -> None:
        """Count as idle."""

    def has_unread(self) -> bool:
        """Say whether bytes of the client wait unread."""

    def end_sending(self) -> None:
        """Tell the client that nothing follows what is in the kernel."""


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one client.

    Besides its state there are four facts that any state may have: `_paused` (the transport takes no more),
    `_half_closed` (the client sends no more), `_owes_continue` (a client waits for a 100 Continue behind a response)
    and `_refused` (what came after the current request is refused).
    """

    __slots__ = (
        "_base", "_current", "_file_sender", "_grace", "_half_closed", "_occupant", "_owes_continue", "_paused",
        "_reader", "_refused", "_service", "_state", "_transport", "_unread", "_unsent_bytes", "_waiting", "deadline",
        "watched_tick",
    )  # fmt: skip

    def __init__(self, service: Service, occupant: Occupant, base: Environ) -> None:
        """Serve requests, with environs made from `base`, as a part of `service`."""
        self._service = service
        self._occupant = occupant
        self._base = base
        self._transport: Any = None
        self._reader: RequestReader | None = None
        self._current: Exchange | None = None  # there is one while ANSWERING
        self._waiting: deque[Exchange] = deque()
        self._unread = b""  # what came behind WAITING_LIMIT requests; reading is paused
        self._refused: Refused | None = None
        self._file_sender: FileSender | None = None
        self._owes_continue = self._paused = self._half_closed = False
        self._unsent_bytes = -1  # how much of a response was left when progress was looked for
        self.watched_tick = 0
        self._grace: asyncio.TimerHandle | None = None
        if service.secure:
            # A handshake takes the client's round trips: it occupies no thread.
            occupant.release()
        self._enter(HEAD if service.secure else NEW)

    @property
    def is_unused(self) -> bool:
        """Whether no request of it has ever begun to arrive."""
        begun = self._reader is not None and self._reader.begun
        return self._state in (NEW, HEAD) and not begun and not self._occupant.has_unread()

    @property
    def is_idle(self) -> bool:
        """Whether it is kept for another request of which nothing has arrived."""
        return self._state is IDLE and not self._occupant.has_unread()

    def _enter(self, state: ConnectionState, timeout: float = 0.0) -> None:
        """Change the state, as TRANSITIONS allows; `timeout` (seconds) bounds it, 0: it has no deadline now."""
        self._state = state
        self.deadline = 0.0
        if timeout:
            self.deadline = self._service.loop.time() + timeout
            self._service.wheel.watch(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport (asyncio calls it; with TLS after the handshake)."""
        self._transport = transport
        # 0: what is written goes to the kernel at once, and pause_writing says when not all of it went.
        self._transport.set_write_buffer_limits(high=SECURE_BUFFER_BYTES if self._service.secure else 0)
        self._reader = RequestReader(self._service.rules, self._base, self)
        self._service.connections.add(self)
        if self._state is HEAD:
            self._arm(self._service.stall_timeout)
        elif not self._occupant.has_unread():
            self._wait_a_moment()

    def data_received(self, data: bytes) -> None:
        """Read bytes of the client (asyncio calls it)."""
        reader = self._reader
        if reader is None or self._refused is not None:
            return
        try:
            if self._unread or data.count(HEAD_END) > WAITING_LIMIT:
                self._read_pieces(reader, self._unread + data)
            else:
                reader.feed(data)
        except Refused as refused:
            self._refuse(refused)
        except OSError as error:
            self._on_disk_full(error)
        holds_back = reader.holds_back
        if (holds_back or len(data) >= TURN_BYTES) and not self._transport.is_closing():
            self._transport.pause_reading()
            if not holds_back:
                self._service.loop.call_soon(self._read_on)
        if self._state is ANSWERING:
            return
        if self._state is NEW:
            self._wait_a_moment()
        elif reader.begun:
            self._await_rest(reader)

    def _read_pieces(self, reader: RequestReader, data: bytes) -> None:
        """Read of `data` what WAITING_LIMIT has room for; keep the rest. Raises what the reader does."""
        at = 0
        while at < len(data) and len(self._waiting) < WAITING_LIMIT:
            reader.feed(data[at : at + PIECE_BYTES])
            at += PIECE_BYTES
        self._unread = data[at:]

    def eof_received(self) -> bool:
        """Note that the client sends no more (asyncio calls it). It may still read: keep open for what it has asked.

        A client that has left altogether looks the same until something is written to it.
        """
        if self._service.secure or self._state is not ANSWERING:
            return False
        self._half_closed = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything of a connection that is gone (asyncio calls it)."""
        self._transport = None
        self._enter(CLOSED)
        self._service.wheel.forget(self)
        self._service.connections.discard(self)
        if self._file_sender is not None:
            self._file_sender.close()
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        while self._waiting:
            self._waiting.popleft().discard()
        current, self._current = self._current, None
        if current is not None:
            current.abandon()
            if not current.app_done:
                # The socket's place is given back with the socket; the thread's is not free yet.
                self._service.counters.record_busy(1)
        self._service.on_less()

    def pause_writing(self) -> None:
        """Stop sending: the client does not take what is written (asyncio calls it)."""
        self._paused = True
        if self._current is not None:
            self._arm(self._service.stall_timeout)

    def resume_writing(self) -> None:
        """Go on sending: the client has taken all (asyncio calls it)."""
        self._paused = False
        if self._current is not None:
            self.deadline = 0.0
            self._unsent_bytes = -1
            self._pump()

    def on_request(self, environ: Environ, keep_alive: bool) -> None:
        """Run a complete request now, or after those before it (RequestReader calls it)."""
        self._owes_continue = False
        exchange = Exchange(self._service, self, environ, keep_alive)
        if self._current is None:
            self._start(exchange)
        else:
            self._waiting.append(exchange)
            self._transport.pause_reading()

    def on_body_wanted(self) -> None:
        """Tell a client that waits for a 100 Continue to go on (RequestReader calls it)."""
        if self._current is None:
            self._transport.write(CONTINUE)
        else:
            self._owes_continue = True

    def on_body_stored(self) -> None:
        """Read on when the disk has kept up, or say that it does not take the body (the reader's body calls it)."""
        reader = self._reader
        if reader is None or self._transport is None or self._refused is not None:
            return
        if reader.store_error is not None:
            self._on_disk_full(reader.store_error)
            return
        if self._state is BODY:
            self._enter(BODY, self._service.stall_timeout)
        self._read_on()

    def on_output(self, exchange: Exchange) -> None:
        """Send what is in the outbox (the app's thread calls it, by way of the loop)."""
        if exchange is self._current:
            self._pump()

    def on_app_done(self, exchange: Exchange) -> None:
        """Send the rest of a response that the app is finished with (its thread calls it, by way of the loop)."""
        exchange.app_done = True
        service = self._service
        service.unfinished -= 1
        # A framework that answers 500 itself has told nobody of the exception.
        failed = exchange.failed or exchange.code >= 500
        service.counters.record_request_done(monotonic_ns() - exchange.began_ns, failed)
        transport = self._transport
        if transport is None:
            service.counters.record_busy(-1)
            exchange.free_response()
            service.on_less()
            return
        if service.access_log is not None:
            service.access_log.record(AnsweredExchange(exchange))
        if exchange.output:
            transport.write(exchange.output)
        self._pump()
        current = self._current
        if current is None or current.app_done:
            self._occupant.release()

    def on_deadline(self, now: float) -> None:
        """Act when the time for what the state waits for is up (TimeoutWheel calls it)."""
        if self._current is not None:
            self._look_for_progress(self._current)
        elif self._state is LINGERING:
            self._transport.abort()
        elif self._reader is not None and self._reader.holds_back:
            self._arm(self._service.stall_timeout)  # it is the disk that is late
        elif self._reader is not None and self._reader.begun:
            self._refuse(Refused(408))
        else:
            self._close()

    def shutdown(self) -> None:
        """Take no more requests: close now, or after the response that is under way."""
        if self._current is not None:
            self._current.keep_alive = False
        elif self._transport is not None:
            self._close()

    def _wait_a_moment(self) -> None:
        """Count as busy without a whole request for GRACE, or no longer when clients are being slow."""
        loop = self._service.loop
        if loop.time() < self._service.impatient_until:
            self._end_grace()
        elif self._grace is None:
            self._grace = loop.call_later(GRACE, self._on_grace_over)

    def _on_grace_over(self) -> None:
        if self._state is NEW:
            self._service.impatient_until = self._service.loop.time() + IMPATIENCE
            self._end_grace()

    def _end_grace(self) -> None:
        self._occupant.release()
        reader = self._reader
        has_head = reader is not None and reader.begun and not reader.in_head
        self._enter(arrival_state(not has_head), self._service.stall_timeout)

    def _await_rest(self, reader: RequestReader) -> None:
        """Limit the time of a whole head, and the time between two parts of a body."""
        state = arrival_state(reader.in_head)
        if state is BODY or self._state is not HEAD:
            self._enter(state, self._service.stall_timeout)

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        self._unsent_bytes = -1
        self._enter(ANSWERING)
        self._occupant.occupy()
        service = self._service
        service.unfinished += 1
        service.counters.record_request_begun()
        service.threads.submit(exchange)

    def _pump(self) -> None:
        """Give the transport what there is to send, as long as it takes it."""
        while not self._paused and self._current is not None and self._file_sender is None:
            exchange = self._current
            if exchange.outbox is not None and (data := exchange.outbox.take()):
                self._transport.write(data)
            elif not exchange.app_done:
                return
            elif exchange.broken:
                self._break_off(exchange)
                return
            elif exchange.file is not None:
                self._send_file(exchange)
            else:
                self._finish(exchange)

    def _finish(self, exchange: Exchange) -> None:
        """Go on after a response that has been sent."""
        exchange.free_response()
        self._current = None
        if not exchange.keep_alive or self._transport.is_closing():
            self._close()
        elif self._waiting:
            self._start(self._waiting.popleft())
            if not self._waiting and self._unread:
                self.data_received(b"")
            self._read_on()
        elif self._refused is not None:
            self._refuse(self._refused)
        elif self._half_closed:
            self._close()
        else:
            self._await_request()

    def _read_on(self) -> None:
        """Read more of the client, unless what came is still to be worked off."""
        if self._transport is None or self._transport.is_closing() or self._waiting or self._unread:
            return
        if self._reader is None or not self._reader.holds_back:
            self._transport.resume_reading()

    def _await_request(self) -> None:
        if self._reader is not None and self._reader.begun:
            self._await_rest(self._reader)
        else:
            self._enter(IDLE, self._service.keep_alive_timeout)
        if self._owes_continue:
            self._owes_continue = False
            self._transport.write(CONTINUE)

    def _send_file(self, exchange: Exchange) -> None:
        file = exchange.file
        assert file is not None
        if not self._service.secure:
            fd = self._transport.get_extra_info("socket").fileno()
            self._file_sender = FileSender(self._service.loop, fd, file, self._on_file_sent)
            self._arm(self._service.stall_timeout)
            return
        data = os.pread(file.fd, min(SLICE_BYTES, file.end - file.offset), file.offset)
        file.offset += len(data)
        self._transport.write(data)
        if not data:
            exchange.broken = True  # the file has become shorter
        elif file.offset == file.end:
            file.close()
            exchange.file = None

    def _on_file_sent(self, complete: bool) -> None:
        self._file_sender = None
        self.deadline = 0.0
        exchange = self._current
        if exchange is None or exchange.file is None:
            return
        if complete:
            exchange.file.close()
            exchange.file = None
            self._pump()
        else:
            self._break_off(exchange)

    def _break_off(self, exchange: Exchange) -> None:
        """End the connection so that the client can tell that the response is not complete."""
        exchange.keep_alive = False
        if exchange.until_close:
            # Here a normal close would look like the end of the body.
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            self._transport.abort()
        else:
            self._close()

    def _refuse(self, refused: Refused) -> None:
        """Answer with an error of our own, after what was asked before, and end the connection."""
        self._refused = refused
        if self._current is not None or self._transport is None:
            return
        logger.debug("refused with %d: %s", refused.code, refused.reason)
        status = HTTPStatus(refused.code)
        body = f"{status.value} {status.phrase}\n"
        self._transport.write(
            f"HTTP/1.1 {status.value} {status.phrase}{self._service.own_lines()}\r\nConnection: close\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        if self._reader is not None:
            self._reader.close()
        self._linger()

    def _on_disk_full(self, error: OSError) -> None:
        logger.error("a request body could not be stored: %s", error)
        self._refuse(Refused(507, str(error)))

    def _linger(self) -> None:
        """Close our half and read on for a while: closing with unread bytes would reset what was said."""
        self._occupant.release()
        if not self._transport.can_write_eof():
            self._close()
            return
        self._enter(LINGERING, LINGER)
        self._transport.resume_reading()
        self._transport.write_eof()

    def _close(self) -> None:
        """End the connection when the transport has sent what it holds."""
        self._enter(CLOSING)
        # TLS has an end of its own, which must be sent before that of the connection.
        if not self._service.secure and not self._transport.get_write_buffer_size():
            self._occupant.end_sending()
        self._transport.close()

    def _look_for_progress(self, exchange: Exchange) -> None:
        """Give a client that took something of its response more time; end one that took nothing."""
        file = exchange.file
        unsent = (file.end - file.offset if file is not None else 0) + self._transport.get_write_buffer_size()
        if unsent != self._unsent_bytes:
            self._unsent_bytes = unsent
            self._arm(self._service.stall_timeout)
            return
        logger.debug("a client took nothing of its response for %g s", self._service.stall_timeout)
        exchange.keep_alive = False
        self._transport.abort()

    def _arm(self, timeout: float) -> None:
        self.deadline = self._service.loop.time() + timeout
        self._service.wheel.watch(self)
