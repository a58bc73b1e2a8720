"""Owns one client connection: what is read when, how long it may wait for its client, and how it ends.

Runs in Python workers, on the event loop's thread, as the protocol of a transport. A subclass answers the requests; the
next one is read when the response to the last is complete, so nothing waits but bytes. Never blocks.
"""

import logging

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from fastlb.lb.posix cimport monotonic_ns
from fastlb.worker.http.client_rate cimport begin_look, is_too_slow
from fastlb.worker.http.peer cimport (
    CLIENT_GONE, CLIENT_OPEN, ClientEnd, client_end, probe_client, reset_at_close, send_head, unacknowledged_bytes,
)
from fastlb.worker.http.response cimport ServerLines
from fastlb.worker.transport.socket_transport cimport SocketTransport

from fastlb.worker.http.file_sender import FileSender

cdef object logger = logging.getLogger("fastlb.worker")

cdef double TICK = 0.01         # of TimeoutWheel
# After a refusal: how long what the client still sends is thrown away at least, so that it can read why.
cdef double LINGER = 2.0
cdef double MOST_PROBE_SECONDS = 60


cdef inline double seconds_now() noexcept:
    return monotonic_ns() * 1e-9


cdef class HttpService:
    """What the connections of a worker share.

    Args:
        loop: the event loop.
        wheel: a TimeoutWheel, for their deadlines.
        connections: the set in which they are while they are open.
        config: a WorkerConfig.
        lines: the headers that the server adds.
    """

    def __init__(self, loop, wheel, connections, config, ServerLines lines not None):
        self.loop = loop
        self.watch = wheel.watch
        self.forget = wheel.forget
        self.connections = connections
        self.keep_alive_timeout = config.timeout_keep_alive
        self.stall_timeout = config.stall_timeout
        self.minimum_rate = config.minimum_rate
        self.head_limit = config.limit_request_head
        self.secure = bool(config.ssl_certfile)
        self.lines = lines


cdef class HttpConnection(RequestReader):
    """Speaks HTTP/1.1 with one client; asyncio calls it as a Protocol, TimeoutWheel as Timed.

    Args:
        service: shared by all connections.
        handed: the connection as it was taken.
    """

    def __init__(self, HttpService service not None, handed):
        self.service = service
        self.handed = handed
        self.head_limit = service.head_limit
        self.body_limit = service.body_limit

    # what asyncio calls

    def connection_made(self, transport):
        """Wait for the first request."""
        self.transport = transport
        if type(transport) is SocketTransport:
            self.plain = transport
            self.unsettled = True
        self.service.connections.add(self)
        self.arm(self.service.stall_timeout)

    def settle(self):
        """Be watched from now on: a new connection whose first bytes are worked off (SocketTransport calls it)."""
        self.unsettled = False
        if self.deadline and self.transport is not None:
            self.service.watch(self)

    def data_received(self, data):
        """Read bytes of the client, or keep them until the request before them is answered."""
        if self.lingering or self.closing:
            return
        if self.unread is not None:
            self.unread += data
        elif self.answering and not self.begun:
            self.unread = bytes(data)
        else:
            self.read(data if type(data) is bytes else bytes(data))
            return
        # Also if it was paused: an event loop does not heed that before it has begun to read (FirstRead).
        self.read_paused = False
        self.pause()
        if not self.writing_paused:
            self.arm(self.service.stall_timeout)  # whoever is not read is not seen to leave

    def eof_received(self):
        """Keep a connection open whose client sends no more, as long as there is something to answer."""
        if self.service.secure or self.begun or not self.answering or self.lingering or self.closing:
            return False
        if client_end(self.handed.fileno()) == CLIENT_GONE:
            return False
        self.half_closed = True
        self.on_half_closed()
        if not self.writing_paused:
            self.look_for_client()
        return True

    def connection_lost(self, exc):
        """Forget everything of a connection that is gone."""
        service = self.service
        service.connections.discard(self)
        if not service.secure and not self.aborted:
            # Everything that was written is in the kernel by now. TLS has an end of its own, which the client has seen.
            self.handed.end_sending()
        self.deadline = 0.0
        if self.watched_tick:
            service.forget(self)
        self.closing = True
        self.unread = self.transport = self.plain = None
        if self.sending_file is not None:
            self.sending_file.close()
            self.sending_file = None
        self.on_lost()

    def pause_writing(self):
        """Note that the client does not take what is written."""
        self.hold_back()

    def resume_writing(self):
        """Go on: the client has taken enough."""
        self.go_on()

    # what TimeoutWheel calls

    def on_deadline(self, double now):
        """Act when the time for what is waited for is up."""
        if self.transport is None:
            return
        if self.lingering:
            self.linger_on()
        elif self.writing_paused or self.closing:
            self.look_for_progress()
        elif self.answering and not self.begun:
            if self.half_closed or self.read_paused:
                self.look_for_client()
        elif self.read_paused or (self.begun and not self.in_head and self.wants_continue):
            return  # it is we who are waited for
        elif self.handed.has_unread():
            self.arm(self.service.stall_timeout)  # it is the loop that is late
        elif self.begun:
            self.refuse(408, "the client has stopped in its request")
            self.end_refused()
        else:
            self.close_now()

    # what the server calls

    def is_unused(self):
        """Say whether no request of it has ever begun to arrive."""
        return not (self.answered or self.answering or self.begun or self.handed.has_unread())

    def is_idle(self):
        """Say whether it is kept for another request of which nothing has arrived."""
        return self.answered and not (self.answering or self.begun or self.handed.has_unread())

    def shutdown(self):
        """Take no more requests: close now, or after the response that is under way."""
        if self.answering:
            self.keep_alive = False
            self.is_shut = True
        else:
            self.close_now()

    # what the adapter calls

    cdef int read(self, bytes data) except -1:
        """Read requests, and keep what comes behind one that is not answered yet."""
        cdef const char *text = PyBytes_AS_STRING(data)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data), at = 0
        cdef bint was_in_head = self.in_head and self.begun
        while at < length and not self.lingering and not self.closing:
            if self.answering and not self.begun:
                self.unread = data[at:]
                self.pause()
                break
            at += self.feed(text + at, length - at)
            if not self.begun:
                self.body_since = 0.0
            elif not self.in_head and self.sends_body_slowly():
                self.refuse(408, "the client sends its body too slowly")
            if self.refusal:
                return self.end_refused()
            if self.upgrades:
                return self.take_over()
            self.on_fed()
            if (self.ended or self.is_shut) and not self.begun:
                break
        if self.begun:
            if not self.in_head:
                self.await_body()
            elif not was_in_head or not self.deadline:
                self.arm(self.service.stall_timeout)
        elif self.answering and not self.writing_paused:
            self.await_app()
        return 0

    cdef int write(self, bytes data) except -1:
        """Send `data`."""
        if self.transport is None:
            return 0
        self.given_bytes += PyBytes_GET_SIZE(data)
        if self.plain is not None:
            return self.plain.put(data)
        self.transport.write(data)
        return 0

    cdef int write_both(self, bytes head, data) except -1:
        """Send `head` and `data`, which is too long to be copied."""
        if self.transport is not None:
            self.given_bytes += PyBytes_GET_SIZE(head) + len(data)
            self.transport.writelines((head, data))
        return 0

    cdef object begin_file(self, bytes head, file):
        """Send `head`, which may be empty, and then a FileRange in the kernel; return the FileSender.

        on_writable() tells that it has ended; end_file() must follow. None: that is not to be had, and behind the head,
        which is sent or waits in the transport, the file must be written there. Not for TLS.
        """
        cdef Py_ssize_t length = PyBytes_GET_SIZE(head), sent = 0
        cdef bint is_free = not self.transport.get_write_buffer_size()
        if is_free and length:
            sent = send_head(self.handed.fileno(), PyBytes_AS_STRING(head), length)
            self.given_bytes += sent
        if sent < length or not is_free:
            self.write(head[sent:])
            return None
        try:
            self.sending_file = FileSender(self.service.loop, self.handed.fileno(), file, self.on_file_end)
        except OSError:  # no descriptor is left for it
            return None
        self.hold_back()
        return self.sending_file

    def on_file_end(self):
        """Go on behind a file (the FileSender calls it)."""
        self.end_file()

    cdef int end_file(self) except -1:
        """A file is sent, or is not sent any further. May be called twice."""
        sender, self.sending_file = self.sending_file, None
        if sender is None:
            return 0
        self.given_bytes += sender.sent_bytes
        return self.go_on()

    cdef int pause(self) except -1:
        """Read nothing more of the client for now."""
        if not self.read_paused and self.transport is not None and not self.closing:
            self.read_paused = True
            self.transport.pause_reading()
        return 0

    cdef int resume(self) except -1:
        """Read more of the client, unless what came is still to be worked off."""
        if self.read_paused and self.unread is None and self.transport is not None and not self.closing:
            self.read_paused = False
            if not self.half_closed:
                self.transport.resume_reading()
        return 0

    cdef int await_body(self) except -1:
        """Give the client time for the next part of a body, unless it is not to send one."""
        if self.read_paused or self.wants_continue:
            self.body_since = 0.0
            if not self.writing_paused:
                self.deadline = 0.0
        else:
            if not self.body_since:
                self.body_since = seconds_now()
                self.body_seen = self.body_bytes
            self.arm(self.service.stall_timeout)
        return 0

    cdef int hold_back(self) except -1:
        """The client holds us back: nothing more is written before go_on(), and how much it takes is looked at."""
        self.writing_paused = True
        begin_look(&self.taking, self.taken(), seconds_now())
        return self.arm(self.service.stall_timeout)

    cdef int go_on(self) except -1:
        """The client has taken enough for more to be written, unless that took it too long."""
        self.writing_paused = False
        if self.transport is None or self.closing or self.lingering:
            return self.on_writable()
        self.deadline = 0.0
        if self.takes_slowly():
            return self.abort()
        if self.begun and not self.in_head:
            self.await_body()
        elif self.answering:
            self.await_app()
        else:
            self.arm(self.service.keep_alive_timeout)
        return self.on_writable()

    cdef int end_response(self, bint keep_alive) except -1:
        """A response is complete: go on with the next request, or end the connection."""
        cdef bytes unread
        self.answering = False
        self.answered = True
        if self.transport is None or self.closing:
            return 0
        if not keep_alive or self.ended or self.is_shut or (self.half_closed and self.unread is None):
            return self.end()
        unread, self.unread = self.unread, None
        if unread is not None:
            self.in_response = True
            self.read(unread)
            self.in_response = False
        if self.closing or self.lingering or self.transport is None:
            return 0
        self.resume()
        if self.answering:
            return 0
        if self.half_closed:
            return self.close_now()  # the client has stopped in a request
        if self.begun:
            if not self.in_head:
                self.wants_continue = False
                self.arm(self.service.stall_timeout)
            return 0
        return self.arm(self.service.keep_alive_timeout)

    cdef int send_refusal(self, int code) except -1:
        """Answer with an error of our own, and end the connection."""
        if self.transport is None or self.closing or self.lingering:
            return 0
        self.write(self.service.lines.refusal(code))
        return self.await_end()

    cdef int close_now(self) except -1:
        """End the connection when the transport has sent what it holds."""
        if self.transport is None:
            return 0
        self.closing = True
        if self.service.secure or self.transport.get_write_buffer_size():
            self.hold_back()  # for the client to take the rest
        self.transport.close()
        return 0

    cdef int abort(self) except -1:
        """End the connection by a reset: what the client has got is not to look complete."""
        if self.transport is None:
            return 0
        self.closing = self.aborted = True
        self.deadline = 0.0
        if not self.service.secure:
            reset_at_close(self.handed.fileno())
        self.transport.abort()
        return 0

    cdef object leave(self):
        """Return the transport, for another protocol: this is the connection's no longer."""
        transport, self.transport = self.transport, None
        self.plain = None
        self.service.connections.discard(self)
        self.closing = True
        self.deadline = 0.0
        self.service.forget(self)
        return transport

    # for subclasses

    cdef int refuse_current(self, int code) except -1:
        """Answer a request whose body is being read so, if its response has not begun; otherwise end the connection."""
        return 0

    cdef int on_fed(self) except -1:
        """All that has come of a request was read: its answering may begin."""
        return 0

    cdef int on_lost(self) except -1:
        """The connection is gone."""
        return 0

    cdef int on_half_closed(self) except -1:
        """The client sends no more while it is answered."""
        return 0

    cdef int on_writable(self) except -1:
        """The client takes what is written again."""
        return 0

    cdef int take_over(self) except -1:
        """Speak the other protocol of an upgrade from here on."""
        return 0

    # inside

    cdef int end_refused(self) except -1:
        logger.debug("refused with %d: %s", self.refusal, self.refusal_reason)
        if self.answering:
            return self.refuse_current(self.refusal)
        return self.send_refusal(self.refusal)

    cdef int end(self) except -1:
        """End the connection after a response; a client that still sends must be able to read it."""
        if self.begun or self.unread is not None or (not self.ended and self.handed.has_unread()):
            return self.await_end()
        return self.close_now()

    cdef int await_end(self) except -1:
        """End our direction and read on for a while: closing with unread bytes would reset what was said."""
        if not self.transport.can_write_eof() or self.half_closed:
            return self.close_now()
        self.lingering = True
        self.unread = None
        self.transport.write_eof()
        self.resume()
        begin_look(&self.taking, self.taken(), seconds_now())
        return self.arm(LINGER)

    cdef int linger_on(self) except -1:
        """Give a client that still takes its last response more time; otherwise the connection ends."""
        return self.abort() if self.taken() >= self.given_bytes or self.takes_slowly() else self.arm(LINGER)

    cdef int look_for_progress(self) except -1:
        """Give a client that takes its response fast enough more time; end one that does not."""
        return self.abort() if self.takes_slowly() else self.arm(self.service.stall_timeout)

    cdef bint sends_body_slowly(self) except -1:
        """Judge the client's rate, once in stall_timeout: a part of a body has come."""
        cdef double now, waited, sent
        if not self.body_since or not self.service.minimum_rate:
            return False
        now = seconds_now()
        waited = now - self.body_since
        if waited < self.service.stall_timeout:
            return False
        sent = <double>(self.body_bytes - self.body_seen)
        self.body_since = now
        self.body_seen = self.body_bytes
        return sent < self.service.minimum_rate * waited

    cdef bint takes_slowly(self) except -1:
        service = self.service
        if not is_too_slow(&self.taking, self.taken(), seconds_now(), service.stall_timeout, service.minimum_rate):
            return False
        logger.debug("a client takes its response too slowly")
        return True

    cdef int64_t taken(self) except? -1:
        """Return how much of all responses the client's kernel has taken; TLS makes it a little less than it is."""
        cdef int64_t unsent = self.transport.get_write_buffer_size()
        if self.sending_file is not None:
            unsent -= self.sending_file.sent_bytes
        return self.given_bytes - unsent - unacknowledged_bytes(self.handed.fileno())

    cdef int look_for_client(self) except -1:
        """End the connection of a client that is gone while the app runs; look again at one that sends no more."""
        cdef double patience = self.service.stall_timeout
        cdef ClientEnd found = client_end(self.handed.fileno())
        if found == CLIENT_GONE:
            return self.abort()
        if found != CLIENT_OPEN:
            probe_client(self.handed.fileno(), max(1, <int>min(patience, MOST_PROBE_SECONDS)))
        return self.arm(patience)

    cdef int await_app(self) except -1:
        """It is the app that is waited for: there is no deadline, but for one whose end the event loop does not see."""
        if self.half_closed or self.read_paused:
            return self.arm(self.service.stall_timeout)
        self.deadline = 0.0
        return 0

    cdef int arm(self, double timeout) except -1:
        """Call on_deadline() in `timeout` seconds, unless the deadline is moved before."""
        cdef long tick
        self.deadline = seconds_now() + timeout
        if self.unsettled:
            return 0
        tick = <long>(self.deadline / TICK) + 1
        if not 0 < self.watched_tick <= tick:
            self.service.watch(self)
        return 0
