"""Owns what makes HTTP requests into runs of a WSGI app, and what becomes of the responses. Runs in WSGI workers.

A connection is served by the threads that run the app (Crew), directly, as long as its client is quick: a whole request
in one piece, a response that the kernel takes at once. When it is not, it goes to the event loop for good, which is
never blocked: there the app is called in a thread when its request is whole, and what waits for the client lies in the
exchange's Outbox. With TLS all is the event loop's. It is in one place at a time, and what is passed on is posted.
"""

import logging
import os
from io import BytesIO

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno

from fastlb.lb.posix cimport MSG_DONTWAIT, MSG_NOSIGNAL, monotonic_ns, send
from fastlb.worker.http.connection cimport HttpConnection
from fastlb.worker.http.llhttp cimport HPE_USER
from fastlb.worker.wsgi.exchange cimport WsgiExchange, WsgiService
from fastlb.worker.wsgi.request_environ cimport EnvironMaker

from .answered_exchange import AnsweredExchange
from .body_spool import BodyNotStored
from .outbox import SLICE_BYTES, ClientGone
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
        self.fd = handed.fileno()
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
        if self.unfed is None and self.is_new and not self.handed.has_unread():
            self.wait_a_moment()
        self.continue_in_loop()

    def data_received(self, data):
        """Read bytes of the client."""
        HttpConnection.data_received(self, data)
        if self.is_new and self.begun:
            self.wait_a_moment()
        if len(data) >= TURN_BYTES and not self.read_paused:
            self.pause_turn()

    # what the server calls

    def shutdown(self):
        """Take no more requests: close now, or after the response that is under way."""
        self.is_shut = True
        if self.exchange is not None:
            self.exchange.keep_alive = False
        if not self.direct:
            HttpConnection.shutdown(self)
        elif self.exchange is None and self.wsgi.threads.let_go(self):
            self.close_directly()

    # what is posted by the app's thread, and by the one that writes bodies

    def on_output(self, WsgiExchange exchange not None):
        """Send what is in the outbox."""
        if exchange is self.exchange:
            self.pump()

    def on_app_done(self, WsgiExchange exchange not None):
        """Send the rest of a response that the app is finished with."""
        self.count_done(exchange)
        if exchange is self.exchange and self.wsgi.access_log is not None:
            self.wsgi.access_log.record(AnsweredExchange(exchange))
        if exchange is not self.exchange:
            self.wsgi.status.record_busy(-1)
            exchange.free_response()
            self.wsgi.on_less()
            return
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
            self.owes_continue = self.direct
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
        if not self.direct:
            service.threads.submit(exchange)
        return 0

    cdef int send_refusal(self, int code) except -1:
        self.is_new = False
        self.handed.release()
        if self.body is not None:
            self.body.discard()
            self.body = None
        self.wsgi.tell_time()  # else it says when the last response was, or nothing
        return HttpConnection.send_refusal(self, code)

    cdef int on_writable(self) except -1:
        return self.pump()

    cdef int on_lost(self) except -1:
        exchange, self.exchange = self.exchange, None
        self.is_new = False
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

    # in the threads that run the app

    def serve_directly(self):
        """Leave the connection to the threads that run the app."""
        self.direct = True
        self.wsgi.connections.add(self)

    cdef bint read_directly(self, const char *data, Py_ssize_t length) except -1:
        """Read what has come; say whether it is a whole request, to be answered, or else for the event loop."""
        cdef Py_ssize_t taken = self.feed(data, length)
        if self.refusal or self.begun or self.exchange is None:
            return False
        self.owes_continue = False
        if taken < length and not self.ended:
            self.unread = data[taken:length]
        return True

    def send_directly(self, bytes data not None):
        """Send a part of a response; return what the kernel did not take, which is the event loop's to send.

        Raises ClientGone.
        """
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data), sent
        if not self.direct:
            return data
        sent = send(self.fd, PyBytes_AS_STRING(data), length, MSG_DONTWAIT | MSG_NOSIGNAL)
        if sent == length:
            return None
        if sent < 0 and errno != EAGAIN and errno != EINTR:
            self.exchange.client_gone = True
            raise ClientGone("the client has closed the connection")
        self.go_to_loop()
        return data[max(sent, 0):]

    cdef int answer(self, WsgiExchange exchange, bint is_leader) except -1:
        """Send what the app has said, with which it is done, and go on. `is_leader`: it takes another one at once."""
        cdef bytes output = exchange.output
        cdef Py_ssize_t sent
        if not self.direct:
            self.wsgi.post(self.on_app_done, exchange)
            return 0
        self.count_done(exchange)
        if output is not None:
            sent = send(self.fd, PyBytes_AS_STRING(output), PyBytes_GET_SIZE(output), MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent < 0 and errno != EAGAIN and errno != EINTR:
                self.tell_line(exchange)
                return self.close_directly()
            exchange.output = output[sent:] if 0 <= sent < PyBytes_GET_SIZE(output) else output if sent < 0 else None
        self.tell_line(exchange)
        if exchange.output is not None or exchange.file is not None or exchange.broken or self.unread is not None:
            self.handed.release()
            return self.go_to_loop()
        exchange.connection = None
        self.exchange = None
        self.answering = False
        self.answered = True
        # What the app has left in them may take its time to be freed: not while a wake-up is held.
        exchange.environ = exchange.input = None
        if is_leader:
            self.wsgi.status.hold_wake()
        if self.is_shut or self.ended or not exchange.keep_alive:
            if not self.handed.has_unread():
                return self.close_directly()
            self.lingers = True
            self.handed.release()
            return self.go_to_loop()
        self.handed.release()
        self.wsgi.threads.keep(self)
        return 0

    cdef int go_to_loop(self) except -1:
        """Leave the connection to the event loop, for good."""
        self.direct = False
        self.wsgi.threads.forget(self)
        self.wsgi.post(self.join_loop, None)
        return 0

    def join_loop(self, _):
        """Let the event loop make a transport (it calls this)."""
        self.wsgi.adopt(self.handed, self)

    cdef int continue_in_loop(self) except -1:
        """Go on, with a transport, where the threads that run the app have stopped."""
        if self.lingers:
            return self.await_end()
        if self.owes_continue:
            self.owes_continue = False
            self.write(CONTINUE)
        if self.unfed is not None:
            data, self.unfed = self.unfed, None
            self.data_received(data)
        elif self.refusal:
            self.end_refused()
        elif self.exchange is not None:
            self.deadline = 0.0
            self.pump()
        elif self.begun:
            self.await_body()
        if self.is_shut:
            HttpConnection.shutdown(self)
        return 0

    cdef int close_directly(self) except -1:
        """Close the connection. What that may tell during a drain is the event loop's to hear."""
        self.direct = False
        if self.wsgi.draining:
            self.wsgi.post(self.end_directly, None)
        else:
            self.end_directly(None)
        return 0

    def end_directly(self, _):
        """Close the descriptor and forget everything."""
        if self.closing:
            return
        self.closing = True
        self.wsgi.threads.forget(self)
        self.wsgi.connections.discard(self)
        self.handed.end_sending()
        self.handed.abandon()
        self.on_lost()

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

    cdef int count_done(self, WsgiExchange exchange) except -1:
        """Count a request that the app is done with. Any thread."""
        service = self.wsgi
        exchange.app_done = True
        service.unfinished -= 1
        # A framework that answers 500 itself has told nobody of the exception.
        service.status.record_request_done(
            monotonic_ns() - exchange.began_ns, exchange.failed or exchange.status >= 500
        )
        service.status.record_response(exchange.status)
        return 0

    cdef int tell_line(self, WsgiExchange exchange) except -1:
        """Have the access log line of a request written whose response the client has, or never will."""
        if self.wsgi.access_log is not None:
            self.wsgi.access_log.record_in_thread(AnsweredExchange(exchange), self.wsgi.loop)
        return 0

    cdef int pump(self) except -1:
        """Give the transport what there is to send, as long as it takes it."""
        cdef WsgiExchange exchange
        while not self.writing_paused and self.exchange is not None:
            if self.transport is None:
                return 0  # not yet
            exchange = self.exchange
            data = exchange.outbox.take() if exchange.outbox is not None else None
            if data:
                self.write(data)
            elif not exchange.app_done:
                return 0
            elif exchange.output is not None:
                data, exchange.output = exchange.output, None
                self.write(data)
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
        if file.offset == file.end:
            file.close()
            self.exchange.file = None
        elif self.wsgi.secure or self.begin_file(b"", file) is None:
            data = os.pread(file.fd, min(slice_bytes, file.end - file.offset), file.offset)
            file.offset += len(data)
            self.write(data)
            self.exchange.broken = not data  # the file has become shorter
        return 0

    def on_file_end(self):
        """Go on behind a file (FileSender calls it)."""
        if self.exchange is not None:
            self.exchange.broken = self.sending_file.error is not None
        HttpConnection.on_file_end(self)

    cdef int break_off(self) except -1:
        """End the connection so that the client can tell that the response is not complete."""
        exchange, self.exchange = self.exchange, None
        exchange.free_response()
        exchange.connection = None
        self.answering = False
        # Where the end of the connection is the end of the body, a normal one would look like it.
        return self.abort() if exchange.until_close else self.close_now()
