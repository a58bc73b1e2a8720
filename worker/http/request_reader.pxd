# Owns what a subclass of the request reader sees of it, and what it is called for. Runs in Python workers.

from libc.stdint cimport uint64_t

from fastlb.worker.http.llhttp cimport llhttp_t


cdef class RequestReader:
    cdef llhttp_t parser
    cdef size_t head_limit        # bytes of a head, of trailers, of what stands between two parts of a body
    cdef uint64_t body_limit      # bytes; 0: none
    cdef readonly bint begun      # a part of a request that is not complete has come
    cdef readonly bint in_head    # that part ends in the head
    cdef bint ended               # no request follows the last one
    cdef bint upgrades            # the last request is for another protocol, which the subclass takes
    cdef int refusal              # status code of what cannot be served; 0: nothing is wrong
    cdef str refusal_reason       # for the log
    # of the request whose head came last
    cdef bytes target             # as sent
    cdef bytes path               # of the target; b"*" for the asterisk form
    cdef bytes query
    cdef list headers             # of (name in lower case, value), both bytes, in order
    cdef bint is_http10
    cdef bint keep_alive          # as the client wants it
    cdef bint has_body
    cdef bint wants_continue      # the client waits for a 100 before it sends the body
    cdef uint64_t body_bytes      # that have come
    # while a head is read
    cdef bytes name
    cdef bytes value
    cdef Py_ssize_t host_at       # where in `headers` the Host is; -1: there is none
    cdef bytes upgrade
    cdef bytes transfer_coding
    cdef int codings
    cdef size_t field_bytes       # of what the parser has shown since the head, or the last part of the body, began
    cdef size_t section_bytes     # of that, what came in earlier pieces, with all that the parser does not show
    cdef const char *section_start

    cdef Py_ssize_t feed(self, const char *data, Py_ssize_t length) except -1
    cdef str method(self)
    cdef int refuse(self, int code, str reason) except? -1

    # inside
    cdef void begin(self) noexcept
    cdef int count(self, size_t length) except? -1
    cdef int keep_field(self) except? -1
    cdef int check_head(self) except? -1
    cdef int check_framing(self) except? -1
    cdef int check_target(self) except? -1
    cdef Py_ssize_t take_authority(self, const char *text, Py_ssize_t length) except? -1
    cdef int end_head(self) except? -1

    # for subclasses
    cdef bint takes_upgrade(self) except -1
    cdef int on_head(self) except? -1
    cdef int on_body(self, const char *data, size_t length) except? -1
    cdef int on_complete(self) except? -1
