"""Owns one request's run through the app and what PEP 3333 asks of a server meanwhile.

Runs in an app thread of a worker process, apart from abandon() and free_response(). What it produces goes to its
connection: a small response whole, at the end; a longer one as it comes, through an Outbox if the client is slower; a
file as a descriptor. It never touches a socket, and never waits for a client (an Outbox that is full even on disk
excepted).
"""

import functools
import logging
import os
from collections.abc import Sized
from email.utils import formatdate

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t

from fastlb.lb.page cimport WorkerStatus
from fastlb.lb.posix cimport monotonic_ns
from fastlb.worker.access_log.access_log cimport AccessLog
from fastlb.worker.http.connection cimport HttpService
from fastlb.worker.http.response cimport ServerLines
from fastlb.worker.wsgi.response_head cimport WsgiResponse

from fastlb.worker.http.file_sender import FileRange

from .body_spool import BodyNotStored, BodySpool, BodyWriter
from .file_wrapper import FileWrapper
from .loop_calls import LoopCalls
from .outbox import SLICE_BYTES, ClientGone, Outbox

cdef enum:
    # Smaller files are read in the app's thread and sent together with the head.
    SMALL_FILE_BYTES = 65536
    # From here on copying a body costs more than sending it by itself.
    LARGE_BODY_BYTES = 65536
    NANOSECONDS = 1_000_000_000

cdef object logger = logging.getLogger("fastlb.worker")
cdef bytes LAST_CHUNK = b"0\r\n\r\n"
cdef Py_ssize_t slice_bytes = SLICE_BYTES


cdef class WsgiService(HttpService):
    """What the connections of a WSGI worker share.

    Args:
        app: the WSGI app.
        loop, wheel, config, lines: as in HttpService.
        status: the worker's page.
        access_log: takes the line of a request that the app is done with; None: there is no such log.
    """

    def __init__(self, app, loop, wheel, config, ServerLines lines, WorkerStatus status not None, AccessLog access_log):
        HttpService.__init__(self, loop, wheel, set(), config, lines)
        self.body_limit = config.limit_request_body
        self.app = app
        self.post = LoopCalls(loop).post
        self.body_writer = BodyWriter(loop)
        self.status = status
        self.access_log = access_log
        self.sends_date = config.date_header
        self.on_less = lambda: None  # until somebody is to be told

    cdef int tell_time(self) except -1:
        """Renew the Date header, once a second."""
        cdef int64_t second = monotonic_ns() // NANOSECONDS
        if self.sends_date and second != self.date_second:
            self.date_second = second
            self.lines.set_date(formatdate(usegmt=True))
        return 0


cdef class WsgiExchange(WsgiResponse):
    """One request and its response. Its connection sets what is about the request; then run_app() may be called."""

    def start_response(self, status, headers, exc_info=None):
        """PEP 3333's start_response; returns write().

        Raises:
            AssertionError: called twice without exc_info.
            TypeError, ValueError: status or headers that may not be sent.
            The exception of exc_info, when the head has been sent already.
        """
        if exc_info:
            try:
                if self.begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no cycle through the traceback's frames
            self.forget_head()
        elif self.said is not None:
            raise AssertionError("start_response was called twice without exc_info")
        self.start_head(status, headers)
        return self.write

    def write(self, data):
        """PEP 3333's write(): send `data` now. Raises ClientGone when there is nobody to read it."""
        self.send_part(data, False)

    cdef int run_app(self) except -1:
        """Call the app. Raises nothing."""
        try:
            if not self.client_gone:
                self.open_input()
                self.call_app()
        except ClientGone:
            self.broken = True
        except BodyNotStored as error:
            logger.error("%s: a request body could not be stored: %s", self.title(), error)
            self.answer_failure("507 Insufficient Storage")
        except BaseException as error:  # SystemExit too ends one request, no more
            self.on_error(error)
        try:
            self.input.close()
        except BufferError:
            pass  # the app has kept a view of it, and it lives as long
        return 0

    cdef int abandon(self) except -1:
        """Give up a request whose client has left: the app is not called, or stops where it next sends. Event loop."""
        self.client_gone = True
        return self.free_response()

    cdef int free_response(self) except -1:
        """Free what holds the response. Event loop."""
        if self.outbox is not None:
            self.outbox.close()
        if self.file is not None:
            self.file.close()
        return 0

    cdef str header(self, str name):
        """Return the header `name` of the app's response, whatever its case; None: it has none."""
        if self.said is None:
            return None
        for line in self.said.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None

    cdef int open_input(self) except -1:
        """Wait for the disk, if need be, to have all of the body. Raises BodyNotStored."""
        if type(self.input) is BodySpool:
            self.input = self.environ["wsgi.input"] = self.input.open()
        return 0

    cdef int call_app(self) except -1:
        result = self.service.app(self.environ, self.start_response)
        try:
            if type(result) is list or type(result) is tuple:
                self.send_whole(result)
            elif type(result) is FileWrapper and not self.begun:
                self.send_file(result)
            else:
                self.send_each(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        return 0

    cdef int send_whole(self, chunks) except -1:
        """Send a body that is there as a whole, so that its length is known."""
        cdef bytes body = bytes_of(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        cdef Py_ssize_t length = PyBytes_GET_SIZE(body)
        if self.begun or length > slice_bytes:
            self.stream(body, True)
            return self.finish()
        self.require_head()
        length = self.clip(length)
        self.output = self.start_body(<const uint8_t *>PyBytes_AS_STRING(body), length, length, True)
        return self.finish_quietly()

    cdef int send_each(self, chunks) except -1:
        is_single = isinstance(chunks, Sized) and len(chunks) == 1
        for data in chunks:
            self.send_part(data, is_single)
            if self.bodiless:
                break  # the head is out, and nothing else is wanted
        return self.finish()

    cdef int send_file(self, wrapper) except -1:
        measured = wrapper.measure()
        if measured is None:
            return self.send_each(wrapper)
        cdef int fd = measured[0]
        cdef Py_ssize_t offset = measured[1], size = measured[2] - measured[1]
        if size <= SMALL_FILE_BYTES:
            return self.send_whole([os.pread(fd, size, offset)])
        self.require_head()
        if not self.bodiless and 0 <= self.content_length < size:
            size = self.content_length
        self.output = self.start_body(NULL, 0, size, True)
        if not self.bodiless:
            self.file = FileRange(os.dup(fd), offset, offset + size)
        return self.finish_quietly()

    cdef int send_part(self, data, bint is_whole) except -1:
        cdef bytes part = bytes_of(data)
        if PyBytes_GET_SIZE(part):
            return self.stream(part, is_whole)
        return self.require_head()

    cdef int stream(self, bytes data, bint is_whole) except -1:
        """Send a part of the body as soon as the client takes it, before it the head if it is not out."""
        cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(data)
        cdef Py_ssize_t length
        cdef bint is_large
        if self.client_gone:
            raise ClientGone("the client has closed the connection")
        self.require_head()
        length = self.clip(PyBytes_GET_SIZE(data))
        if not self.begun:
            is_large = length > LARGE_BODY_BYTES
            self.put(self.start_body(text, 0 if is_large else length, length, is_whole))
            if not is_large:
                return 0
        else:
            self.check_part(length, False)
        if self.bodiless or length == 0:
            return 0
        if self.chunked:
            return self.put(self.next_part(text, length, False))
        return self.put(data if length == PyBytes_GET_SIZE(data) else data[:length])

    cdef int put(self, bytes data) except -1:
        if self.outbox is None:
            if self.connection.direct:
                data = self.connection.send_directly(data)
                if data is None:
                    return 0
            tell = functools.partial(self.service.post, self.connection.on_output, self)
            self.outbox = Outbox(tell)
            if self.client_gone:
                self.outbox.close()
        self.outbox.put(data)
        return 0

    cdef int require_head(self) except -1:
        """Decide whether there is a body at all. Raises AssertionError when the app has not called start_response."""
        if self.said is None:
            raise AssertionError("the app produced a body before it called start_response")
        self.bodiless = self.is_head or self.status == 204 or self.status == 304
        return 0

    cdef Py_ssize_t clip(self, Py_ssize_t length) except -1:
        """Return how much of a part Content-Length leaves room for."""
        cdef int64_t room = self.left if self.begun else self.content_length
        if self.bodiless or room < 0 or length <= room:
            return length
        if not self.excess_reported:
            self.excess_reported = True
            logger.error("%s: the app produced more than its Content-Length; cut", self.title())
        return room

    cdef bytes start_body(self, const uint8_t *body, Py_ssize_t copied, Py_ssize_t length, bint is_last):
        """Return the head, which decides how the end of the body shows, and `copied` bytes of the body behind it."""
        cdef WsgiService service = self.service
        if self.app_closes or service.draining or service.keep_alive_timeout <= 0:
            self.keep_alive = False
        service.tell_time()
        # What is too short by the app's own Content-Length is found at the end.
        return self.begin(service.lines, body, copied, length, is_last and self.content_length < 0)

    cdef int finish(self) except -1:
        """The app has produced everything, in pieces or nothing at all."""
        if not self.begun:
            self.require_head()
            self.output = self.start_body(NULL, 0, 0, True)
        elif self.chunked and not self.bodiless:
            self.put(LAST_CHUNK)
        return self.finish_quietly()

    cdef int finish_quietly(self) except -1:
        self.complete = True
        if self.left > 0 and not self.bodiless:
            logger.error("%s: the app produced %d bytes less than its Content-Length", self.title(), self.left)
            self.keep_alive = False
        return 0

    cdef int on_error(self, error) except -1:
        self.failed = True
        logger.error("%s: exception in the app", self.title(), exc_info=error)
        if self.complete:
            return 0
        if self.begun:
            self.broken = True
            return 0
        return self.answer_failure("500 Internal Server Error")

    cdef int answer_failure(self, str status) except -1:
        cdef bytes body = status[4:].encode() + b"\n"
        cdef Py_ssize_t length = PyBytes_GET_SIZE(body)
        self.failed = True
        self.forget_head()
        self.start_head(status, [("Content-Type", "text/plain; charset=utf-8")])
        self.output = self.start_body(<const uint8_t *>PyBytes_AS_STRING(body), length, length, True)
        return 0

    cdef str title(self):
        return f"{self.environ.get('REQUEST_METHOD')} {self.environ.get('RAW_URI')!r}"


cdef bytes bytes_of(data):
    """Return a part of a body as bytes. Raises TypeError when it is something else."""
    if type(data) is bytes:
        return <bytes>data
    if not isinstance(data, bytes):
        raise TypeError(f"the app must produce bytes, not {type(data).__name__}")
    return bytes(memoryview(data))
