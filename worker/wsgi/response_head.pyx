"""Owns the rules for what an app says in start_response: status and headers, and their bytes on the wire.

Runs in the app's threads; no I/O. Refuses what would let a value become a header or a response of its own (CR, LF) and
every other control character (RFC 9110 5.5), drops hop-by-hop headers, which PEP 3333 forbids to apps.
"""

from http import HTTPStatus

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from fastlb.worker.http.characters cimport equals_lower, is_digit, is_field_value, lower_token
from fastlb.worker.http.response cimport Response

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    void *PyUnicode_DATA(object text)
    enum:
        PyUnicode_1BYTE_KIND

cdef enum:
    LENGTH_DIGITS = 18     # of a Content-Length that certainly is an int64_t
    LINE_EXTRA_BYTES = 12  # of a line, besides its name and value, or of the status line besides the status

cdef dict codes = {f"{status.value} {status.phrase}": status.value for status in HTTPStatus if status >= 200}


cdef inline const uint8_t *latin_1(str text) except NULL:
    """Return a text's characters. Raises UnicodeEncodeError when one is above 255 (PEP 3333), as encode() does."""
    if PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND:
        text.encode("latin-1")
        raise ValueError("a text that is not ready")
    return <const uint8_t *>PyUnicode_DATA(text)


cdef int code_of(status) except -1:
    """Return the code of a status such as "200 OK".

    Raises:
        TypeError: not a str.
        ValueError: not three digits and a reason, or below 200: an app has one, final response.
    """
    if not isinstance(status, str):
        raise TypeError(f"status must be str, not {type(status).__name__}")
    digits = status[:3]
    if len(digits) < 3 or not (digits.isascii() and digits.isdecimal()) or status[3:4] not in ("", " "):
        raise ValueError(f"status must be three digits, a space and a reason: {status!r}")
    if int(digits) < 200:
        raise ValueError(f"a response to a request has a status of 200 or more: {status!r}")
    return int(digits)


cdef list pairs_of(headers):
    """Return headers as a list of pairs of str. Iterating over what an app gives may run its code."""
    cdef list pairs = []
    for pair in headers:
        if type(pair) is not tuple or len(<tuple>pair) != 2:
            name, value = pair
            pair = (name, value)
        if type((<tuple>pair)[0]) is not str or type((<tuple>pair)[1]) is not str:
            pair = (plain_str((<tuple>pair)[0], pair), plain_str((<tuple>pair)[1], pair))
        pairs.append(pair)
    return pairs


cdef str plain_str(text, pair):
    if not isinstance(text, str):
        raise TypeError(f"header name and value must be str: {pair!r}")
    return str.__str__(text)


cdef class WsgiResponse(Response):
    """A response whose status and headers are those of start_response."""

    cdef int forget_head(self) except -1:
        """Forget what the app has said; nothing of it was sent."""
        self.reset()
        self.said = None
        self.app_closes = False
        return 0

    cdef int start_head(self, status, headers) except -1:
        """Check and keep the app's status and headers.

        Raises:
            TypeError: something is not a str, or not a pair.
            ValueError: a status or header that may not be sent.
        """
        cdef list pairs = pairs_of(headers)
        cdef Py_ssize_t room, length
        cdef bytes lines
        cdef char *end
        known = codes.get(status) if type(status) is str else None
        cdef int code = code_of(status) if known is None else known
        cdef str line = str.__str__(status)
        room = len(line) + LINE_EXTRA_BYTES
        for pair in pairs:
            room += len(<str>(<tuple>pair)[0]) + len(<str>(<tuple>pair)[1]) + LINE_EXTRA_BYTES
        lines = PyBytes_FromStringAndSize(NULL, room)
        end = PyBytes_AS_STRING(lines)
        memcpy(end, b"HTTP/1.1 ", 9)
        length = len(line)
        memcpy(end + 9, latin_1(line), length)
        if not is_field_value(<const uint8_t *>end + 9, length):
            raise ValueError(f"a control character in a status: {line!r}")
        end += 9 + length
        if length == 3:
            end[0] = c' '  # stays where there is no reason (RFC 9112 4)
            end += 1
        end[0], end[1] = c'\r', c'\n'
        end += 2
        self.status = code
        for pair in pairs:
            end = self.put_header(end, <str>(<tuple>pair)[0], <str>(<tuple>pair)[1])
        self.said = self.fields = lines[:end - PyBytes_AS_STRING(lines)]
        return 0

    cdef char *put_header(self, char *end, str name, str value) except NULL:
        """Write a header at `end`, if it is sent as it is; return the end then."""
        cdef const uint8_t *text = latin_1(name)
        cdef const uint8_t *value_text = latin_1(value)
        cdef Py_ssize_t length = len(name), value_length = len(value), i
        for i in range(length):
            if not lower_token(text[i]):
                raise ValueError(f"not a header name: {name!r}")
        if length == 0:
            raise ValueError("a header without a name")
        if not is_field_value(value_text, value_length):
            raise ValueError(f"a control character in a header: {name}: {value!r}")
        if not self.is_passed_on(text, length, value):
            return end
        memcpy(end, text, length)
        end[length], end[length + 1] = c':', c' '
        end += length + 2
        memcpy(end, value_text, value_length)
        end[value_length], end[value_length + 1] = c'\r', c'\n'
        return end + value_length + 2

    cdef bint is_passed_on(self, const uint8_t *name, Py_ssize_t length, str value) except -1:
        """Take note of a header with a meaning for us; return whether it is sent as it is."""
        if length == 14 and equals_lower(name, length, b"content-length"):
            self.note_content_length(value)
            return self.status != 204
        if length == 10 and equals_lower(name, length, b"connection"):
            if "close" in [option.strip() for option in value.lower().split(",")]:
                self.app_closes = True
            return False
        if length == 4 and equals_lower(name, length, b"date"):
            self.has_date = True
        elif length == 6 and equals_lower(name, length, b"server"):
            self.has_server = True
        return not is_hop_by_hop(name, length)

    cdef int note_content_length(self, str value) except -1:
        cdef const uint8_t *text = latin_1(value)
        cdef Py_ssize_t length = len(value), i
        if self.content_length >= 0:
            raise ValueError("two Content-Length headers")
        if not 0 < length <= LENGTH_DIGITS:
            raise ValueError(f"Content-Length is not a number: {value!r}")
        self.content_length = 0
        for i in range(length):
            if not is_digit(text[i]):
                raise ValueError(f"Content-Length is not a number: {value!r}")
            self.content_length = self.content_length * 10 + (text[i] - c'0')
        return 0


cdef bint is_hop_by_hop(const uint8_t *name, Py_ssize_t length) noexcept nogil:
    """Whether a header is about the connection, and ours to send (PEP 3333, "Other HTTP Features")."""
    if length == 2:
        return equals_lower(name, length, b"te")
    if length == 7:
        return equals_lower(name, length, b"trailer") or equals_lower(name, length, b"upgrade")
    if length == 8:
        return equals_lower(name, length, b"trailers")
    if length == 10:
        return equals_lower(name, length, b"keep-alive")
    if length == 17:
        return equals_lower(name, length, b"transfer-encoding")
    if length == 18:
        return equals_lower(name, length, b"proxy-authenticate")
    return length == 19 and equals_lower(name, length, b"proxy-authorization")
