"""Owns what makes HTTP requests into runs of a WSGI app, and what becomes of the responses. Runs in WSGI workers.

On the event loop's thread, and never blocks it: the app is called in a thread of its own when its request is whole, and
what waits for the client lies in the exchange's Outbox.
"""

import logging
import os
from io import BytesIO

from libc.stdint cimport int64_t

from fastlb.lb.posix cimport monotonic_ns
from fastlb.worker.http.connection cimport HttpConnection
from fastlb.worker.http.llhttp cimport HPE_USER
from fastlb.worker.wsgi.exchange cimport WsgiExchange, WsgiService
from fastlb.worker.wsgi.request_environ cimport EnvironMaker

from .answered_exchange import AnsweredExchange
from .body_spool import BodyNotStored
from .file_sender import FileSender
from .outbox import SLICE_BYTES
from .request_body import RequestBody

cdef enum:
    # How much an encrypted transport may hold; a plain one holds what the kernel did not take of the last write.
    SECURE_BUFFER_BYTES = 262144
    # After so much no more is read of one client in the same turn of the loop, which would read up to 8 MiB of it.
    TURN_BYTES = 65536

# A new connection without a whole request counts as busy for so long, unless another one was as slow a moment ago.
cdef double GRACE = 0.002
cdef double IMPATIENCE = 1.0
cdef bytes CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
cdef object logger = logging.getLogger("fastlb.worker")
cdef Py_ssize_t slice_bytes = SLICE_BYTES


cdef class WsgiConnection(HttpConnection):
    """One connection of a WSGI worker.

    Args:
        service: shared by all connections, a WsgiService.
        handed: the connection as it was taken, which counts as busy.
        maker: makes environs for the address that it came to.
    """

    def __init__(self, WsgiService service not None, handed, EnvironMaker maker not None):
        HttpConnection.__init__(self, service, handed)
        self.wsgi = service
        self.maker = maker
        peer = handed.peer_address()
        self.client = peer[0] if peer else ""
        self.client_port = str(peer[1]) if peer else None
        self.is_new = not service.secure
        if service.secure:
            # A handshake takes the client's round trips: it occupies no thread.
            handed.release()

    # what asyncio calls

    def connection_made(self, transport):
        """Wait for the first request (with TLS after the handshake)."""
        HttpConnection.connection_made(self, transport)
        # 0: what is written goes to the kernel at once, and pause_writing says when not all of it went.
        transport.set_write_buffer_limits(high=SECURE_BUFFER_BYTES if self.wsgi.secure else 0)
        if self.is_new and not self.handed.has_unread():
            self.wait_a_moment()

    def data_received(self, data):
        """Read bytes of the client."""
        HttpConnection.data_received(self, data)
        if self.is_new and self.begun:
            self.wait_a_moment()
        if len(data) >= TURN_BYTES and not self.read_paused:
            self.pause_turn()

    # what TimeoutWheel calls

    def on_deadline(self, double now):
        """Act when the time for what is waited for is up."""
        if self.file_sender is not None:
            self.look_for_progress_of_file()
        else:
            HttpConnection.on_deadline(self, now)

    # what the server calls

    def shutdown(self):
        """Take no more requests: close now, or after the response that is under way."""
        if self.exchange is not None:
            self.exchange.keep_alive = False
        HttpConnection.shutdown(self)

    # what is posted by the app's thread, and by the one that writes bodies

    def on_output(self, WsgiExchange exchange not None):
        """Send what is in the outbox."""
        if exchange is self.exchange:
            self.pump()

    def on_app_done(self, WsgiExchange exchange not None):
        """Send the rest of a response that the app is finished with."""
        service = self.wsgi
        exchange.app_done = True
        service.unfinished -= 1
        # A framework that answers 500 itself has told nobody of the exception.
        service.status.record_request_done(
            monotonic_ns() - exchange.began_ns, exchange.failed or exchange.status >= 500
        )
        if exchange is not self.exchange:
            service.status.record_busy(-1)
            exchange.free_response()
            service.on_less()
            return
        if service.access_log is not None:
            service.access_log.record(AnsweredExchange(exchange))
        if exchange.output is not None:
            self.write(exchange.output)
            exchange.output = None
        self.pump()
        if self.exchange is None or self.exchange.app_done:
            self.handed.release()

    def on_body_stored(self):
        """Read on when the disk has kept up, or say that it does not take the body."""
        if self.transport is None or self.closing or self.lingering or self.body is None:
            return
        if self.body.error is not None:
            self.refuse_unstored(self.body.error)
            self.end_refused()
            return
        self.resume()
        self.await_body()

    def on_turn_over(self):
        """Read on in another turn of the loop."""
        if not self.is_body_behind() and not self.lingering:
            self.resume()

    # what the engine calls

    cdef int on_head(self) except? -1:
        self.environ = self.maker.environ_of(self, self.client, self.client_port)
        self.headers = None
        if self.environ is None:
            return HPE_USER
        if self.wants_continue:
            self.wants_continue = False
            self.write(CONTINUE)
        return 0

    cdef int on_body(self, const char *data, size_t length) except? -1:
        if self.body is None:
            self.body = RequestBody(self.wsgi.body_writer, self.on_body_stored)
        try:
            self.body.append(data[:length])
        except BodyNotStored as error:
            return self.refuse_unstored(error)
        if self.body.is_behind:
            self.pause()
        return 0

    cdef int on_complete(self) except? -1:
        cdef WsgiExchange exchange
        service = self.wsgi
        exchange = WsgiExchange.__new__(WsgiExchange)
        exchange.service = service
        exchange.connection = self
        exchange.is_head = self.method() == "HEAD"
        exchange.is_http10 = self.is_http10
        exchange.keep_alive = self.keep_alive
        exchange.input = self.take_input()
        exchange.environ, self.environ = self.environ, None
        exchange.began_ns = monotonic_ns()
        self.exchange = exchange
        self.answering = True
        self.is_new = False
        self.handed.occupy()
        service.unfinished += 1
        service.status.record_request_begun()
        service.threads.submit(exchange)
        return 0

    cdef int send_refusal(self, int code) except -1:
        self.is_new = False
        self.handed.release()
        if self.body is not None:
            self.body.discard()
            self.body = None
        return HttpConnection.send_refusal(self, code)

    cdef int on_writable(self) except -1:
        return self.pump()

    cdef int on_lost(self) except -1:
        exchange, self.exchange = self.exchange, None
        self.is_new = False
        if self.file_sender is not None:
            self.file_sender.close()
            self.file_sender = None
        if self.body is not None:
            self.body.discard()
            self.body = None
        if exchange is not None:
            exchange.abandon()
            if not exchange.app_done:
                # The socket's place is given back with the socket; the thread's is not free yet.
                self.wsgi.status.record_busy(1)
        self.wsgi.on_less()
        return 0

    # the place in the capacity

    cdef int wait_a_moment(self) except -1:
        """Count as busy without a whole request for GRACE, or no longer when clients are being slow."""
        loop = self.wsgi.loop
        if loop.time() < self.wsgi.impatient_until:
            self.end_grace()
        elif self.grace is None:
            self.grace = loop.call_later(GRACE, self.on_grace_over)
        return 0

    def on_grace_over(self):
        """Note that clients are being slow."""
        if self.is_new and self.transport is not None:
            self.wsgi.impatient_until = self.wsgi.loop.time() + IMPATIENCE
            self.end_grace()

    cdef int end_grace(self) except -1:
        self.is_new = False
        self.handed.release()
        return 0

    # the request

    cdef bint is_body_behind(self) except -1:
        return self.body is not None and self.body.is_behind

    cdef int pause_turn(self) except -1:
        """Let others have their turn of the loop before more of this client is read."""
        self.pause()
        if self.read_paused:
            self.wsgi.loop.call_soon(self.on_turn_over)
        return 0

    cdef int refuse_unstored(self, error) except? -1:
        logger.error("a request body could not be stored: %s", error)
        return self.refuse(507, str(error))

    cdef object take_input(self):
        """Return the body of a request that is complete, and tell the environ of it."""
        environ, body = self.environ, self.body
        self.body = None
        if environ.pop("HTTP_TRANSFER_ENCODING", None) is not None:
            # The framing was ours to undo. Apps read as much as CONTENT_LENGTH says.
            environ["CONTENT_LENGTH"] = str(body.size if body is not None else 0)
        source = environ["wsgi.input"] = body.source() if body is not None else BytesIO()
        return source

    # the response

    cdef int pump(self) except -1:
        """Give the transport what there is to send, as long as it takes it."""
        cdef WsgiExchange exchange
        while not self.writing_paused and self.exchange is not None and self.file_sender is None:
            exchange = self.exchange
            data = exchange.outbox.take() if exchange.outbox is not None else None
            if data:
                self.write(data)
            elif not exchange.app_done:
                return 0
            elif exchange.broken:
                return self.break_off()
            elif exchange.file is not None:
                self.send_file()
            else:
                self.finish()
        return 0

    cdef int finish(self) except -1:
        """Go on after a response that has been sent."""
        exchange, self.exchange = self.exchange, None
        exchange.free_response()
        exchange.connection = None
        return self.end_response(exchange.keep_alive)

    cdef int send_file(self) except -1:
        file = self.exchange.file
        if not self.wsgi.secure:
            self.file_sender = FileSender(self.wsgi.loop, self.handed.fileno(), file, self.on_file_sent)
            self.unsent_of_file = -1
            return self.arm(self.wsgi.stall_timeout)
        data = os.pread(file.fd, min(slice_bytes, file.end - file.offset), file.offset)
        file.offset += len(data)
        self.write(data)
        if not data:
            self.exchange.broken = True  # the file has become shorter
        elif file.offset == file.end:
            file.close()
            self.exchange.file = None
        return 0

    def on_file_sent(self, bint complete):
        """Go on after a file (FileSender calls it)."""
        self.file_sender = None
        self.deadline = 0.0
        exchange = self.exchange
        if exchange is None or exchange.file is None:
            return
        if complete:
            exchange.file.close()
            exchange.file = None
            self.pump()
        else:
            self.break_off()

    cdef int break_off(self) except -1:
        """End the connection so that the client can tell that the response is not complete."""
        exchange, self.exchange = self.exchange, None
        exchange.free_response()
        exchange.connection = None
        self.answering = False
        # Where the end of the connection is the end of the body, a normal one would look like it.
        return self.abort() if exchange.until_close else self.close_now()

    cdef int look_for_progress_of_file(self) except -1:
        """Give a client that took something of its file more time; end one that took nothing."""
        file = self.exchange.file
        cdef int64_t unsent = file.end - file.offset
        if unsent == self.unsent_of_file:
            logger.debug("a client took nothing of its response for %g s", self.wsgi.stall_timeout)
            return self.abort()
        self.unsent_of_file = unsent
        return self.arm(self.wsgi.stall_timeout)
