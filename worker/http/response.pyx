"""Owns the bytes of a response's head, and the decision how its body's end shows, which is made once.

Runs in Python workers, on the event loop's thread. No I/O. Refuses what would let a value become a header or a response
of its own (CR, LF) and every other control character (RFC 9110 5.5); headers about the connection are ours to send.
"""

from http import HTTPStatus

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.stdio cimport snprintf
from libc.stdlib cimport realloc
from libc.string cimport memcmp, memcpy

from fastlb.worker.http.characters cimport is_digit, is_field_value, lower_token

cdef enum:
    LEAST_STATUS = 200        # an app has one, final response
    MOST_STATUS = 999
    FIRST_BUFFER_BYTES = 4096
    KEPT_BUFFER_BYTES = 65536  # a larger one is made smaller after its use
    LENGTH_DIGITS = 18         # of a Content-Length that certainly is an int64_t
    LINES_BYTES = 128          # of the framing and connection lines
    CHUNK_LINE_BYTES = 24      # of the line before a chunk

cdef struct Buffer:
    char *bytes
    Py_ssize_t length
    Py_ssize_t capacity

# Where heads are put together. One for all responses: no code of an app runs meanwhile.
cdef Buffer buffer


cdef bytes status_line(int status):
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


cdef list status_lines = [status_line(status) for status in range(MOST_STATUS + 1)]


cdef int make_room(Py_ssize_t length) except -1:
    """Let the buffer take `length` bytes more."""
    cdef Py_ssize_t capacity = buffer.capacity or FIRST_BUFFER_BYTES
    cdef char *larger
    if buffer.length + length <= buffer.capacity:
        return 0
    while capacity < buffer.length + length:
        capacity *= 2
    larger = <char *>realloc(buffer.bytes, capacity)
    if larger == NULL:
        raise MemoryError()
    buffer.bytes, buffer.capacity = larger, capacity
    return 0


cdef int put(const char *text, Py_ssize_t length) except -1:
    make_room(length)
    memcpy(buffer.bytes + buffer.length, text, length)
    buffer.length += length
    return 0


cdef bytes take_buffer():
    """Return what the buffer holds, and empty it."""
    cdef bytes taken = PyBytes_FromStringAndSize(buffer.bytes, buffer.length)
    cdef char *smaller
    buffer.length = 0
    if buffer.capacity > KEPT_BUFFER_BYTES:
        smaller = <char *>realloc(buffer.bytes, KEPT_BUFFER_BYTES)
        if smaller != NULL:
            buffer.bytes, buffer.capacity = smaller, KEPT_BUFFER_BYTES
    return taken


cdef inline bytes require_bytes(value):
    if type(value) is bytes:
        return <bytes>value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"names and values of headers are bytes, not {type(value).__name__}")


cdef class ServerLines:
    """The headers that this server adds.

    Args:
        server: what it calls itself; "": it does not.
    """

    def __init__(self, str server):
        self.date = b""
        self.server = f"server: {server}\r\n".encode("ascii") if server else b""

    def set_date(self, str date):
        """Say what time it is, as in a Date header; "": no such header is sent."""
        self.date = f"date: {date}\r\n".encode("ascii") if date else b""

    cdef bytes refusal(self, int code):
        """Return a whole response with an error of our own, behind which the connection ends."""
        cdef bytes text = f"{code} {HTTPStatus(code).phrase}\n".encode("ascii")
        return b"%b%b%bconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n\r\n%b" % (
            status_line(code), self.date, self.server, len(text), text
        )


cdef class Response:
    """One response: start() with what the app says, then begin() makes the head, and check_part() counts the body."""

    def __cinit__(self):
        self.content_length = self.left = -1

    cdef int reset(self) except -1:
        """Forget what the app has said: nothing of it is sent, and another answer takes its place."""
        self.status = 0
        self.begun = self.chunked = self.until_close = self.bodiless = self.has_date = self.has_server = False
        self.content_length = self.left = -1
        self.fields = None
        self.body_bytes = 0
        return 0

    cdef int start(self, int status, headers) except -1:
        """Check and keep the app's status and headers, an iterable of pairs of bytes.

        Raises:
            TypeError: something is not bytes, or not a pair.
            ValueError: a status or header that may not be sent.
        """
        cdef bytes name, value, line
        if not LEAST_STATUS <= status <= MOST_STATUS:
            raise ValueError(f"a response to a request has a status from 200 to 999: {status}")
        # Checked before anything is put together: an iterator may run code of the app.
        pairs = [(require_bytes(pair[0]), require_bytes(pair[1])) for pair in headers]
        line = <bytes>status_lines[status]
        buffer.length = 0
        put(PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))
        for pair in pairs:
            name, value = <bytes>(<tuple>pair)[0], <bytes>(<tuple>pair)[1]
            self.put_field(name, value, status)
        self.fields = take_buffer()
        self.status = status
        return 0

    cdef int put_field(self, bytes name, bytes value, int status) except -1:
        cdef Py_ssize_t length = PyBytes_GET_SIZE(name), value_length = PyBytes_GET_SIZE(value), i
        cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(name)
        cdef const uint8_t *value_text = <const uint8_t *>PyBytes_AS_STRING(value)
        cdef char *line
        cdef uint8_t c
        make_room(length + value_length + 4)
        line = buffer.bytes + buffer.length
        if length == 0:
            raise ValueError("Invalid HTTP header name.")
        for i in range(length):
            c = lower_token(text[i])
            if not c:
                raise ValueError("Invalid HTTP header name.")
            line[i] = <char>c
        if not is_field_value(value_text, value_length):
            raise ValueError("Invalid HTTP header value.")
        if not self.is_sent(line, length, value, status):
            return 0
        line[length] = c':'
        line[length + 1] = c' '
        memcpy(line + length + 2, value_text, value_length)
        line[length + value_length + 2] = c'\r'
        line[length + value_length + 3] = c'\n'
        buffer.length += length + value_length + 4
        return 0

    cdef bint is_sent(self, const char *name, Py_ssize_t length, bytes value, int status) except -1:
        """Take note of a header with a meaning here; return whether it is sent as it is. `name`: in lower case."""
        if length == 4 and memcmp(name, b"date", 4) == 0:
            self.has_date = True
        elif length == 6 and memcmp(name, b"server", 6) == 0:
            self.has_server = True
        elif length == 10 and memcmp(name, b"connection", 10) == 0:
            return self.note_connection(value)
        elif length == 10 and memcmp(name, b"keep-alive", 10) == 0:
            return False
        elif length == 14 and memcmp(name, b"content-length", 14) == 0:
            return self.note_length(value) and status != 204
        elif length == 17 and memcmp(name, b"transfer-encoding", 17) == 0:
            return False
        return True

    cdef bint note_connection(self, bytes value) except -1:
        """Note whether the app ends the connection; what else it says of it is passed on."""
        tokens = {token.strip() for token in value.lower().split(b",")}
        if b"close" in tokens:
            self.keep_alive = False
        return not tokens <= {b"close", b"keep-alive", b""}

    cdef bint note_length(self, bytes value) except -1:
        """Note a Content-Length; return whether it is the first one."""
        cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(value)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(value), i
        cdef int64_t number = 0
        if not 0 < length <= LENGTH_DIGITS:
            raise ValueError(f"Content-Length is not a number: {value!r}")
        for i in range(length):
            if not is_digit(text[i]):
                raise ValueError(f"Content-Length is not a number: {value!r}")
            number = number * 10 + (text[i] - c'0')
        if self.content_length >= 0 and self.content_length != number:
            raise ValueError("two Content-Length headers")
        is_first = self.content_length < 0
        self.content_length = number
        return is_first

    cdef bytes begin(
        self, ServerLines lines, const uint8_t *body, Py_ssize_t copied, Py_ssize_t length, bint is_last
    ):
        """Return the head, which decides how the end of the body shows, and behind it `copied` bytes of the body.

        The body's first part has `length` bytes at `body`, and may be its last; all of it is copied, or none.
        Raises RuntimeError when it is not what Content-Length says; nothing is to be sent then.
        """
        cdef char[LINES_BYTES] framing
        cdef int framing_length
        cdef bint sends_length = self.decide(length, is_last)
        self.check_part(length, is_last)
        framing_length = self.frame(framing, sends_length, length)
        buffer.length = 0
        put(PyBytes_AS_STRING(self.fields), PyBytes_GET_SIZE(self.fields))
        if not self.has_date:
            put(PyBytes_AS_STRING(lines.date), PyBytes_GET_SIZE(lines.date))
        if not self.has_server:
            put(PyBytes_AS_STRING(lines.server), PyBytes_GET_SIZE(lines.server))
        put(framing, framing_length)
        if copied and not self.bodiless:
            self.put_part(body, copied)
        self.begun = True
        self.fields = None
        return take_buffer()

    cdef bytes next_part(self, const uint8_t *body, Py_ssize_t length, bint is_last):
        """Return the bytes on the wire of a part of the body behind the head, perhaps the last one."""
        buffer.length = 0
        if length:
            self.put_part(body, length)
        if is_last and self.chunked:
            put(b"0\r\n\r\n", 5)
        return take_buffer()

    cdef int put_part(self, const uint8_t *body, Py_ssize_t length) except -1:
        cdef char[CHUNK_LINE_BYTES] line
        if self.chunked:
            put(line, snprintf(line, CHUNK_LINE_BYTES, b"%zx\r\n", <size_t>length))
        put(<const char *>body, length)
        if self.chunked:
            put(b"\r\n", 2)
        return 0

    cdef bint decide(self, Py_ssize_t length, bint is_last) noexcept:
        """Decide how the end of the body shows; return whether by a length that the app has not said."""
        self.bodiless = self.is_head or self.status == 204 or self.status == 304
        if self.content_length >= 0:
            self.left = self.content_length
            return False
        if self.bodiless:
            return False
        if is_last:
            self.left = length
            return True
        if self.is_http10:
            self.until_close = True
            self.keep_alive = False
        else:
            self.chunked = True
        return False

    cdef int frame(self, char *lines, bint sends_length, Py_ssize_t body_length) noexcept:
        """Write the lines about framing and connection, and the empty one; return how many bytes they are."""
        cdef int length = 0
        if sends_length:
            length = snprintf(lines, LINES_BYTES, b"content-length: %zd\r\n", body_length)
        elif self.chunked:
            length = snprintf(lines, LINES_BYTES, b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            length += snprintf(lines + length, LINES_BYTES - length, b"connection: close\r\n")
        elif self.is_http10:
            length += snprintf(lines + length, LINES_BYTES - length, b"connection: keep-alive\r\n")
        length += snprintf(lines + length, LINES_BYTES - length, b"\r\n")
        return length

    cdef int check_part(self, Py_ssize_t length, bint is_last) except -1:
        """Count a part of a body that has a head. Raises RuntimeError when it is not what Content-Length says."""
        if self.bodiless:
            return 0
        if self.left >= 0:
            if length > self.left:
                raise RuntimeError("Response content longer than Content-Length")
            self.left -= length
            if is_last and self.left:
                raise RuntimeError("Response content shorter than Content-Length")
        self.body_bytes += length
        return 0
