"""Owns the bytes in which access log lines gather, and how text that a client has sent is written into them: escaped.

Runs in workers; one thread at a time. All that is added is printable ASCII, whatever it was, so that it can
neither end a line nor speak to a terminal. It grows as it must; whoever adds bounds it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memmove, memset

import json

from .line_format import escape

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    void *PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum:
    LEAST_BYTES = 4096
    KEPT_BYTES = 262144      # what is larger is given back when it is empty
    DIGITS = 20              # of the largest number
    ESCAPED_BYTES = 4        # \xNN
    JSON_BYTES = 6           # \u00NN

cdef const char *HEX = "0123456789abcdef"


cdef size_t escape_into(char *target, const unsigned char *text, size_t length, bint is_json) noexcept nogil:
    """Write `text`, taken for latin-1, as printable ASCII; return how many bytes that are. There must be room."""
    cdef size_t at, written = 0
    cdef unsigned char character
    for at in range(length):
        character = text[at]
        if character == c'"' or character == c'\\':
            target[written] = c'\\'
            target[written + 1] = <char>character
            written += 2
        elif 32 <= character < 127:
            target[written] = <char>character
            written += 1
        else:
            memcpy(target + written, b"\\u00" if is_json else b"\\x", 4 if is_json else 2)
            written += 4 if is_json else 2
            target[written] = HEX[character >> 4]
            target[written + 1] = HEX[character & 15]
            written += 2
    return written


cdef class LineBuffer:
    """Bytes that grow at the end and shrink at the beginning."""

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef int reserve(self, size_t more) except -1:
        """Make room for so many bytes more. Raises MemoryError."""
        cdef size_t wanted = self.length + more
        cdef char *moved
        if wanted <= self.capacity:
            return 0
        wanted = max(wanted, 2 * self.capacity, <size_t>LEAST_BYTES)
        moved = <char *>PyMem_Realloc(self.data, wanted)
        if moved == NULL:
            raise MemoryError
        self.data = moved
        self.capacity = wanted
        return 0

    cdef int add(self, const char *text, size_t length) except -1:
        """Add bytes as they are."""
        if length:  # else there may be no memory yet
            self.reserve(length)
            memcpy(self.data + self.length, text, length)
            self.length += length
        return 0

    cdef int add_bytes(self, bytes text) except -1:
        """Add bytes as they are."""
        return self.add(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef int add_number(self, int64_t number) except -1:
        """Add a number, in decimal; one below 0 as 0."""
        return self.add_digits(number, 1)

    cdef int add_digits(self, int64_t number, size_t width) except -1:
        """Add a number with at least so many digits (no more than DIGITS)."""
        cdef char[DIGITS] digits
        cdef size_t at = DIGITS
        number = max(number, 0)
        while number or DIGITS - at < width:
            at -= 1
            digits[at] = <char>(c'0' + number % 10)
            number //= 10
        return self.add(digits + at, DIGITS - at)

    cdef int add_escaped(self, object text, Py_ssize_t start, Py_ssize_t end) except -1:
        """Add a part of a str, or of bytes taken for latin-1, with quotes, backslashes and all but ASCII marked."""
        cdef const unsigned char *characters = plain(text)
        if characters == NULL:
            return self.add_bytes(escape(str(text)[start:end]).encode())
        self.reserve(ESCAPED_BYTES * (end - start))
        self.length += escape_into(self.data + self.length, characters + start, end - start, False)
        return 0

    cdef int add_json(self, object text, Py_ssize_t start, Py_ssize_t end) except -1:
        """Add a part of a str, or of bytes taken for latin-1, as what stands between the quotes of a JSON string."""
        cdef const unsigned char *characters = plain(text)
        if characters == NULL:
            return self.add_bytes(json_inside(str(text)[start:end]).encode())
        self.reserve(JSON_BYTES * (end - start))
        self.length += escape_into(self.data + self.length, characters + start, end - start, True)
        return 0

    cdef int pad(self, size_t start, int width) except -1:
        """Fill what was added since `start` up with blanks: in front of it, behind it where `width` is negative."""
        cdef size_t found = self.length - start
        cdef size_t wanted = abs(width)
        if found >= wanted:
            return 0
        self.reserve(wanted - found)
        if width > 0:
            memmove(self.data + start + wanted - found, self.data + start, found)
            memset(self.data + start, c' ', wanted - found)
        else:
            memset(self.data + self.length, c' ', wanted - found)
        self.length += wanted - found
        return 0

    cdef void remove_first(self, size_t count) noexcept:
        """Forget so many bytes at the beginning (no more than there are)."""
        self.length -= count
        if self.length:
            memmove(self.data, self.data + count, self.length)
        elif self.capacity > KEPT_BYTES:
            PyMem_Free(self.data)
            self.data = NULL
            self.capacity = 0


cdef str json_inside(str text):
    """Return what stands between the quotes of a JSON string, of printable ASCII."""
    return json.dumps(text).removeprefix('"').removesuffix('"').replace("\x7f", "\\u007f")


cdef const unsigned char *plain(object text):
    """Return the characters of bytes or of a str of ASCII, borrowed; NULL: it is neither."""
    if type(text) is bytes:
        return <const unsigned char *>PyBytes_AS_STRING(text)
    if type(text) is str and PyUnicode_IS_ASCII(text):
        return <const unsigned char *>PyUnicode_DATA(text)
    return NULL
