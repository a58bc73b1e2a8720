# Owns the declarations of what an access log line is made of: a request that was answered. Runs in workers; a server
# that is compiled fills an AnsweredRequest without a call into Python.

from libc.stdint cimport int64_t

from fastlb.worker.access_log.line_buffer cimport LineBuffer


cdef struct Piece:
    int atom         # its letter; 0: text
    int width
    void *argument   # bytes or str, borrowed from the arguments of its LineMaker


cdef class AnsweredRequest:
    # Texts are str, or bytes that are taken for latin-1.
    cdef public object client      # address; empty: there is none
    cdef public int client_port    # 0: there is none
    cdef public object method
    cdef public object target      # path and query, as the client sent them
    cdef public object protocol    # HTTP/1.1 or HTTP/1.0
    cdef public int status
    cdef public int64_t body_bytes
    cdef public int64_t duration_ns

    cpdef object request_header(self, str name)
    cpdef object response_header(self, str name)
    cpdef object variable(self, str name)


cdef class LineMaker:
    cdef bint is_json
    cdef Piece *pieces
    cdef Py_ssize_t count
    cdef list arguments
    cdef int64_t second
    cdef bytes second_text

    cdef int add_line(self, LineBuffer buffer, AnsweredRequest request) except -1
    cdef int add_pieces(self, LineBuffer buffer, AnsweredRequest request) except -1
    cdef int add_object(self, LineBuffer buffer, AnsweredRequest request) except -1
    cdef int add_time(self, LineBuffer buffer) except -1
    cdef int add_member(self, LineBuffer buffer, bytes name, object text) except -1
