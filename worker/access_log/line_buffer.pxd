# Owns the declarations of the bytes in which access log lines gather. Runs in workers.

from libc.stdint cimport int64_t


cdef class LineBuffer:
    cdef char *data
    cdef size_t length     # of what was added
    cdef size_t capacity

    cdef int reserve(self, size_t more) except -1
    cdef int add(self, const char *text, size_t length) except -1
    cdef int add_bytes(self, bytes text) except -1
    cdef int add_number(self, int64_t number) except -1
    cdef int add_digits(self, int64_t number, size_t width) except -1
    cdef int add_escaped(self, object text, Py_ssize_t start, Py_ssize_t end) except -1
    cdef int add_json(self, object text, Py_ssize_t start, Py_ssize_t end) except -1
    cdef int pad(self, size_t start, int width) except -1
    cdef void remove_first(self, size_t count) noexcept
