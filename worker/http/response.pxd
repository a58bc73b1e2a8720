# Owns what an adapter sees of a response: what the app has said of it, and how its end shows. Runs in Python workers.

from libc.stdint cimport int64_t, uint8_t


cdef class ServerLines:
    cdef bytes date               # "date: ...\r\n", or empty
    cdef bytes server             # "server: ...\r\n", or empty

    cdef bytes refusal(self, int code)


cdef class Response:
    cdef readonly int status      # 0: the app has not answered
    cdef readonly int64_t body_bytes  # that were sent
    cdef bint is_head             # the request's method is HEAD
    cdef bint is_http10           # the request's version
    cdef bint keep_alive          # the connection serves another request; final when the head is made
    cdef bint begun               # the head is made
    cdef bint chunked             # the body's end shows by chunks
    cdef bint until_close         # ... by the end of the connection
    cdef bint bodiless            # there is no body, whatever the app says
    cdef bint has_date            # the app has a Date of its own
    cdef bint has_server
    cdef int64_t content_length   # as the app gave it; -1: it did not
    cdef int64_t left             # of the body, if its length is known; otherwise -1
    cdef bytes fields             # status line and headers of the app

    cdef int start(self, int status, headers) except -1
    cdef bytes begin(
        self, ServerLines lines, const uint8_t *body, Py_ssize_t copied, Py_ssize_t length, bint is_last
    )
    cdef bytes next_part(self, const uint8_t *body, Py_ssize_t length, bint is_last)
    cdef int check_part(self, Py_ssize_t length, bint is_last) except -1
    cdef int reset(self) except -1
    # inside
    cdef int put_field(self, bytes name, bytes value, int status) except -1
    cdef bint is_sent(self, const char *name, Py_ssize_t length, bytes value, int status) except -1
    cdef bint note_connection(self, bytes value) except -1
    cdef bint note_length(self, bytes value) except -1
    cdef int put_part(self, const uint8_t *body, Py_ssize_t length) except -1
    cdef bint decide(self, Py_ssize_t length, bint is_last) noexcept
    cdef int frame(self, char *lines, bint sends_length, Py_ssize_t body_length) noexcept
