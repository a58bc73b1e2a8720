"""Owns one client connection: what is read when, how long it may wait for its client, and how it ends.

Runs in Python workers, on the event loop's thread, as the protocol of a transport. A subclass answers the requests; the
next one is read when the response to the last is complete, so nothing waits but bytes. Never blocks.
"""

import logging
from http import HTTPStatus

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from fastlb.lb.posix cimport SO_LINGER, SOL_SOCKET, linger, monotonic_ns, setsockopt
from fastlb.worker.http.response cimport ServerLines

cdef object logger = logging.getLogger("fastlb.worker")

cdef double TICK = 0.01         # of TimeoutWheel
# After a refusal: how long what the client still sends is thrown away, so that it can read why.
cdef double LINGER = 2.0
cdef double NANOSECONDS = 1e-9


cdef inline double seconds_now() noexcept:
    return monotonic_ns() * NANOSECONDS


cdef void reset_at_close(int fd) noexcept nogil:
    """Let the close of `fd` be a reset; nothing happens when it cannot be."""
    cdef linger at_once
    at_once.l_onoff, at_once.l_linger = 1, 0
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once))


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
        self.service.connections.add(self)
        self.arm(self.service.stall_timeout)

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

    def eof_received(self):
        """Keep a connection open whose client sends no more, as long as there is something to answer."""
        if self.service.secure or self.begun or not self.answering or self.lingering or self.closing:
            return False
        self.half_closed = True
        self.on_half_closed()
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
        self.unread = None
        self.transport = None
        self.on_lost()

    def pause_writing(self):
        """Note that the client does not take what is written."""
        self.writing_paused = True
        self.unsent_bytes = self.transport.get_write_buffer_size()
        self.arm(self.service.stall_timeout)

    def resume_writing(self):
        """Go on: the client has taken enough."""
        self.writing_paused = False
        self.deadline = 0.0
        if self.transport is not None and not self.closing:
            if self.begun and not self.in_head:
                self.await_body()
            elif not self.answering:
                self.arm(self.service.keep_alive_timeout)
        self.on_writable()

    # what TimeoutWheel calls

    def on_deadline(self, double now):
        """Act when the time for what is waited for is up."""
        if self.transport is None:
            return
        if self.lingering:
            self.abort()
        elif self.writing_paused or self.closing:
            self.look_for_progress()
        elif self.answering and not self.begun:
            return
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
        if self.transport is None:
            return
        if self.answering:
            self.keep_alive = False
            self.ended = True
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
            if self.refusal:
                self.end_refused()
                return 0
            if self.upgrades:
                self.take_over()
                return 0
            if self.ended and not self.begun:
                break
        if self.begun:
            if not self.in_head:
                self.await_body()
            elif not was_in_head or not self.deadline:
                self.arm(self.service.stall_timeout)
        elif self.answering and not self.writing_paused:
            self.deadline = 0.0
        return 0

    cdef int write(self, bytes data) except -1:
        """Send `data`."""
        if self.transport is not None:
            self.transport.write(data)
        return 0

    cdef int write_both(self, bytes head, data) except -1:
        """Send `head` and `data`, which is too long to be copied."""
        if self.transport is not None:
            self.transport.writelines((head, data))
        return 0

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
            if not self.writing_paused:
                self.deadline = 0.0
        else:
            self.arm(self.service.stall_timeout)
        return 0

    cdef int end_response(self, bint keep_alive) except -1:
        """A response is complete: go on with the next request, or end the connection."""
        cdef bytes unread
        self.answering = False
        self.answered = True
        if self.transport is None or self.closing:
            return 0
        if not keep_alive or self.ended or (self.half_closed and self.unread is None):
            self.end()
            return 0
        unread, self.unread = self.unread, None
        if unread is not None:
            self.read(unread)
        if self.closing or self.lingering or self.transport is None:
            return 0
        self.resume()
        if self.answering:
            return 0
        if self.half_closed:
            self.close_now()  # the client has stopped in a request
            return 0
        if self.begun:
            if not self.in_head:
                self.wants_continue = False
                self.arm(self.service.stall_timeout)
        else:
            self.arm(self.service.keep_alive_timeout)
        return 0

    cdef int send_refusal(self, int code) except -1:
        """Answer with an error of our own, and end the connection."""
        if self.transport is None or self.closing or self.lingering:
            return 0
        status = HTTPStatus(code)
        text = f"{status.value} {status.phrase}\n"
        lines = self.service.lines
        head = b"HTTP/1.1 %d %b\r\n%b%bconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n" % (
            code, status.phrase.encode(), lines.date, lines.server
        )
        self.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(text), text.encode()))
        self.await_end()
        return 0

    cdef int close_now(self) except -1:
        """End the connection when the transport has sent what it holds."""
        if self.transport is None:
            return 0
        self.closing = True
        self.arm(self.service.stall_timeout)  # for the client to take the rest
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
        self.service.connections.discard(self)
        self.closing = True
        self.deadline = 0.0
        self.service.forget(self)
        return transport

    # for subclasses

    cdef int refuse_current(self, int code) except -1:
        """Answer a request whose body is being read so, if its response has not begun; otherwise end the connection."""
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
        if self.begun or self.unread is not None:
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
        return self.arm(LINGER)

    cdef int look_for_progress(self) except -1:
        """Give a client that took something of its response more time; end one that took nothing."""
        cdef size_t unsent = self.transport.get_write_buffer_size()
        if unsent and unsent == self.unsent_bytes:
            logger.debug("a client took nothing of its response for %g s", self.service.stall_timeout)
            return self.abort()
        self.unsent_bytes = unsent
        return self.arm(self.service.stall_timeout)

    cdef int arm(self, double timeout) except -1:
        """Call on_deadline() in `timeout` seconds, unless the deadline is moved before."""
        cdef long tick
        self.deadline = seconds_now() + timeout
        tick = <long>(self.deadline / TICK) + 1
        if not 0 < self.watched_tick <= tick:
            self.service.watch(self)
        return 0
