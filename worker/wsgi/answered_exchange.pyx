"""Owns what a WSGI worker knows of a request for its access log line.

Runs in WSGI workers, in any thread. What an app has changed in the environ is in the line: behind middleware
that knows the client, it is the client's.
"""

import os

from fastlb.lb.posix cimport monotonic_ns
from fastlb.worker.access_log.lines cimport AnsweredRequest
from fastlb.worker.wsgi.exchange cimport WsgiExchange


cdef class AnsweredExchange(AnsweredRequest):
    """A request that the app is done with: `exchange`."""

    cdef WsgiExchange exchange
    cdef dict environ

    def __cinit__(self, WsgiExchange exchange not None):
        cdef dict environ = exchange.environ
        self.environ = environ
        self.exchange = exchange
        self.status = exchange.status
        self.body_bytes = exchange.body_bytes
        self.duration_ns = monotonic_ns() - exchange.began_ns
        self.client = text(environ.get("REMOTE_ADDR"))
        self.client_port = number(environ.get("REMOTE_PORT"))
        self.method = text(environ.get("REQUEST_METHOD"))
        self.target = text(environ.get("RAW_URI"))
        self.protocol = text(environ.get("SERVER_PROTOCOL"))

    cpdef object request_header(self, str name):
        """Return a header of the request."""
        key = name.upper().replace("-", "_")
        value = self.environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")
        return None if value is None else text(value)

    cpdef object response_header(self, str name):
        """Return a header of the response."""
        return self.exchange.header(name)

    cpdef object variable(self, str name):
        """Return a variable of the environ, else of the process."""
        return text(self.environ.get(name)) or os.environ.get(name)


cdef str text(object value):
    """Return what an app may have put into the environ as str; "": None, or what cannot be one."""
    if type(value) is str:
        return <str>value
    try:
        return "" if value is None else str(value)
    except BaseException:  # the app's own: whatever it is, the request is answered
        return ""


cdef int number(object value) except? -1:
    """Return a port as a number; 0: it is none."""
    shown = text(value)
    return int(shown) if shown.isdecimal() and len(shown) < 6 else 0
