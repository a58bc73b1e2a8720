# Owns what others see of an exchange with extensions. Runs in ASGI workers.

from fastlb.worker.asgi.exchange cimport Exchange


cdef class ExtendedExchange(Exchange):
    cdef bint body_complete       # only trailers are missing
    cdef list trailer_lines       # that the client is to get

    # inside
    cdef int send_early_hint(self, links) except -1
    cdef int add_trailers(self, message) except -1
    cdef bint takes_trailers(self) except -1
    cdef bint sends_by_kernel(self, Py_ssize_t count) except -1
