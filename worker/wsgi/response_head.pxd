# Owns the declaration of a response whose head comes from start_response. Runs in WSGI workers.

from libc.stdint cimport uint8_t

from fastlb.worker.http.response cimport Response


cdef class WsgiResponse(Response):
    cdef bytes said               # status line and headers of the app, as they are sent
    cdef bint app_closes          # the app wants the connection closed

    cdef int start_head(self, status, headers) except -1
    cdef int forget_head(self) except -1
    # inside
    cdef char *put_header(self, char *end, str name, str value) except NULL
    cdef bint is_passed_on(self, const uint8_t *name, Py_ssize_t length, str value) except -1
    cdef int note_content_length(self, str value) except -1
