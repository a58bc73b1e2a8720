"""Owns what an ASGI worker knows of a request for its access log line, when the form of lines is given; without one
uvicorn says itself what it has answered. Runs in ASGI workers, around the app.

A line is recorded when the last part of a response is sent, or when the app gives up before.
"""

import logging
import os

from libc.stdint cimport int64_t

from fastlb.lb.posix cimport monotonic_ns
from fastlb.worker.access_log.access_log cimport AccessLog
from fastlb.worker.access_log.lines cimport AnsweredRequest

cdef enum:
    ERROR_BODY_BYTES = 21  # what uvicorn answers for an app that failed: Internal Server Error

cdef object logger = logging.getLogger("fastlb.worker")
cdef dict WANTED = {}  # names of headers as a format has them -> as they stand in a scope


cdef class LoggedApp:
    """An ASGI app, with a line in `log` for each HTTP request that is answered."""

    cdef object app
    cdef AccessLog log

    def __cinit__(self, app, AccessLog log not None):
        self.app = app
        self.log = log

    def __call__(self, scope, receive, send):
        """Serve one scope: return what is to be awaited."""
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        return serve_logged(self.app, LoggedResponse(scope, send, self.log), receive)


async def serve_logged(app, LoggedResponse response not None, receive):
    """Serve one request."""
    try:
        return await app(response.scope, receive, response.send)
    except Exception:
        response.fail()
        raise
    finally:
        response.record()


cdef class LoggedResponse(AnsweredRequest):
    """What the app answers to one request: passed on, and counted."""

    cdef object scope
    cdef object pass_on
    cdef object headers
    cdef AccessLog log
    cdef int64_t began_ns
    cdef bint is_recorded

    def __cinit__(self, scope, send, AccessLog log not None):
        self.scope = scope
        self.pass_on = send
        self.headers = ()
        self.log = log
        self.began_ns = monotonic_ns()

    def send(self, message):
        """Send a message of the app's: return what is to be awaited."""
        kind = message["type"]
        if kind == "http.response.body":
            return self.send_body(message)
        if kind == "http.response.start":
            self.status = message["status"]
            self.headers = message.get("headers", ())
        return self.pass_on(message)

    async def send_body(self, message):
        """Send a part of the body."""
        await self.pass_on(message)
        self.body_bytes += len(message.get("body", b""))
        if not message.get("more_body", False):
            self.record()

    cdef int fail(self) except -1:
        """Note that the app raised: it is answered in its place, if it has not begun to answer."""
        if not self.status:
            self.status, self.body_bytes = 500, ERROR_BODY_BYTES
        return 0

    cdef int record(self) except -1:
        """Record the line, once, if there is an answer."""
        if not self.is_recorded and self.status:
            self.is_recorded = True
            self.duration_ns = monotonic_ns() - self.began_ns
            try:
                describe(self, self.scope)
            except Exception:  # a middleware may have put anything into the scope
                logger.exception("a line of the access log could not be made")
            else:
                self.log.record(self)
        return 0

    cpdef object request_header(self, str name):
        """Return a header of the request."""
        return header(self.scope["headers"], name)

    cpdef object response_header(self, str name):
        """Return a header of the response."""
        return header(self.headers, name)

    cpdef object variable(self, str name):
        """Return a variable of the process, as a scope has none."""
        return os.environ.get(name)


cdef int describe(LoggedResponse response, scope) except -1:
    """Fill in what a scope says of the request."""
    client = scope["client"]
    if client:
        response.client, response.client_port = client[0], client[1] or 0
    response.method = scope["method"]
    if response.method == "HEAD":
        response.body_bytes = 0
    response.target = target_of(scope)
    response.protocol = "HTTP/1.1" if scope["http_version"] == "1.1" else f"HTTP/{scope['http_version']}"
    return 0


cdef bytes target_of(scope):
    """Return path and query as the client sent them: `root_path` was put in front by us."""
    cdef bytes path = scope["raw_path"]
    root_path = scope["root_path"]
    if root_path:
        path = path.removeprefix(root_path.encode("latin-1", "replace"))
    query = scope["query_string"]
    return path + b"?" + query if query else path


cdef object header(headers, str name):
    """Return the value of the first header `name`; None: there is none."""
    wanted = WANTED.get(name)
    if wanted is None:
        wanted = WANTED[name] = name.lower().encode("latin-1", "replace")
    for key, value in headers:
        if key == wanted or (len(key) == len(wanted) and bytes(key).lower() == wanted):
            return bytes(value)
    return None
