"""Owns which requests of an ASGI app pass through the reading of forwarded headers: those that have any.

Runs in ASGI workers, on the event loop's thread, in front of the app. Most requests have none, and would pay for a
coroutine.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp

cdef const char *PREFIX = b"x-forwarded-"


cdef class ProxiedApp:
    """An ASGI app behind `reading`, which believes headers of proxies (ProxyHeadersMiddleware).

    Args:
        app: the app itself.
        reading: the same behind what reads forwarded headers.
    """

    cdef object app
    cdef object reading

    def __cinit__(self, app, reading):
        self.app = app
        self.reading = reading

    def __call__(self, scope, receive, send):
        """Serve one scope: return what is to be awaited."""
        cdef Py_ssize_t length = len(PREFIX)
        cdef bytes name
        for name, _ in scope.get("headers", ()):
            if PyBytes_GET_SIZE(name) > length and memcmp(PyBytes_AS_STRING(name), PREFIX, length) == 0:
                return self.reading(scope, receive, send)
        return self.app(scope, receive, send)
