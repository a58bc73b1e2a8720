"""Owns the reading of requests from one connection: bytes in; heads, parts of bodies and ends, or one refusal, out.

Runs in Python workers, on the event loop's thread. llhttp (strict) parses; the rules that it leaves to its user are
here: Host, framing, bounds, Expect, forms of the target (RFC 9110, RFC 9112). Does no I/O, and keeps nothing of a
request that is complete but what its subclass takes.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memchr, memcmp

from fastlb.worker.http.characters cimport equals_lower, is_host, lower_token
from fastlb.worker.http.llhttp cimport (
    F_CHUNKED, HPE_OK, HPE_PAUSED, HPE_PAUSED_UPGRADE, HPE_USER, HTTP_CONNECT, HTTP_GET, HTTP_OPTIONS, HTTP_REQUEST,
    llhttp_errno_t, llhttp_execute, llhttp_get_error_pos, llhttp_get_error_reason, llhttp_init, llhttp_method_name,
    llhttp_resume, llhttp_settings_init, llhttp_settings_t, llhttp_should_keep_alive, llhttp_t,
)

cdef enum:
    HEADERS_LIMIT = 200  # lines of a head
    METHODS = 47         # that llhttp knows
    SEPARATORS_BYTES = 4  # of a header: colon, space and the end of its line, which the parser does not show

cdef llhttp_settings_t settings
cdef list method_names = [llhttp_method_name(number).decode("ascii") for number in range(METHODS)]


cdef class RequestReader:
    """Reads one connection's requests, one after another. A subclass overrides takes_upgrade() and on_...()."""

    def __cinit__(self):
        llhttp_init(&self.parser, HTTP_REQUEST, &settings)
        self.parser.data = <void *>self
        self.head_limit = 65536

    cdef Py_ssize_t feed(self, const char *data, Py_ssize_t length) except -1:
        """Read to the end of a request, or of what came; return how many bytes were read.

        When `refusal` is set afterwards, or `upgrades`, or `ended`, nothing more may be fed.
        """
        cdef llhttp_errno_t error
        cdef Py_ssize_t taken = length
        self.section_start = data
        error = llhttp_execute(&self.parser, data, length)
        if error == HPE_PAUSED or error == HPE_PAUSED_UPGRADE:
            taken = llhttp_get_error_pos(&self.parser) - data
            if error == HPE_PAUSED:
                llhttp_resume(&self.parser)
        elif error != HPE_OK and not self.refusal:
            self.refuse(400, llhttp_get_error_reason(&self.parser).decode("latin-1"))
        if self.begun and not self.refusal:
            # Also counts what the parser passes over in silence, spaces above all.
            self.section_bytes += data + length - self.section_start
            if self.section_bytes > self.head_limit:
                self.refuse(431, "a section of the request does not end")
        return taken

    cdef str method(self):
        """Return the method of the request whose head came last."""
        return <str>method_names[self.parser.method]

    cdef int refuse(self, int code, str reason) except? -1:
        """Note why the request cannot be served; what this returns to llhttp ends the parsing."""
        self.refusal = code
        self.refusal_reason = reason
        return HPE_USER

    cdef bint takes_upgrade(self) except -1:
        """Say whether the subclass speaks `upgrade`, the protocol that a GET without a body asks for."""
        return False

    cdef int on_head(self) except? -1:
        """A head is complete, and right; what refuse() returns when the subclass finds it wrong."""
        return 0

    cdef int on_body(self, const char *data, size_t length) except? -1:
        """A part of a body has come."""
        return 0

    cdef int on_complete(self) except? -1:
        """The request is complete."""
        return 0

    cdef void begin(self) noexcept:
        self.begun = self.in_head = True
        self.target = self.name = self.value = self.upgrade = self.transfer_coding = None
        self.headers = []
        self.host_at = -1
        self.codings = 0
        self.wants_continue = False
        self.field_bytes = self.section_bytes = self.body_bytes = 0

    cdef int count(self, size_t length) except? -1:
        """Count what the parser shows of a section, which may be complete within one piece."""
        self.field_bytes += length
        return 0 if self.field_bytes <= self.head_limit else self.refuse(431, "a section of the request is too long")

    cdef int keep_field(self) except? -1:
        """Keep a header that is complete, and note those that have a meaning here."""
        cdef bytes name = self.name, value = self.value
        self.name = self.value = None
        if value is None:
            value = b""
        elif value.endswith((b" ", b"\t")):
            value = value.rstrip(b" \t")
        if len(self.headers) >= HEADERS_LIMIT:
            return self.refuse(431, "too many headers")
        cdef Py_ssize_t length = PyBytes_GET_SIZE(name)
        if length == 4 and name == b"host":
            if self.host_at >= 0:
                return self.refuse(400, "more than one Host")
            self.host_at = len(self.headers)
        elif length == 6 and name == b"expect" and self.parser.http_minor == 1 and self.parser.http_major == 1:
            if not equals_text(value, b"100-continue"):
                return self.refuse(417, "an expectation that nobody knows")
            self.wants_continue = True
        elif length == 7 and name == b"upgrade":
            self.upgrade = value
        elif length == 17 and name == b"transfer-encoding":
            self.codings += 1
            self.transfer_coding = value
        self.headers.append((name, value))
        return 0

    cdef int check_head(self) except? -1:
        """Check a complete head; 0: it is right."""
        cdef llhttp_t *parser = &self.parser
        cdef int version = parser.http_major * 10 + parser.http_minor
        cdef bytes host
        if version != 11 and version != 10:
            return self.refuse(505, "neither HTTP/1.1 nor HTTP/1.0")
        self.is_http10 = version == 10
        if self.host_at < 0:
            if version == 11:
                return self.refuse(400, "no Host")
        else:
            host = (<tuple>self.headers[self.host_at])[1]
            if not is_host(<const uint8_t *>PyBytes_AS_STRING(host), PyBytes_GET_SIZE(host)):
                return self.refuse(400, "a Host that is none")
        if parser.method == HTTP_CONNECT:
            return self.refuse(405, "CONNECT is for proxies")
        return self.check_target() or self.check_framing()

    cdef int check_framing(self) except? -1:
        cdef llhttp_t *parser = &self.parser
        if self.codings:
            if self.is_http10:
                return self.refuse(400, "Transfer-Encoding in HTTP/1.0")
            if self.codings > 1 or not equals_text(self.transfer_coding, b"chunked"):
                return self.refuse(501, "a transfer coding that is not chunked")
        elif 0 < self.body_limit < parser.content_length:
            return self.refuse(413, "the body would be too long")
        self.has_body = (parser.flags & F_CHUNKED) != 0 or parser.content_length > 0
        if self.is_http10 or not self.has_body:
            self.wants_continue = False  # nothing is waited for (RFC 9110 10.1.1)
        self.keep_alive = llhttp_should_keep_alive(parser)
        return 0

    cdef int check_target(self) except? -1:
        """Find path and query in the target: origin, absolute or asterisk form (RFC 9112 3.2)."""
        cdef bytes target = self.target
        cdef const char *text = PyBytes_AS_STRING(target)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(target), start = 0
        cdef const char *end
        if length == 1 and text[0] == c'*':
            if self.parser.method != HTTP_OPTIONS:
                return self.refuse(400, "the asterisk is a target of OPTIONS only (RFC 9112 3.2.4)")
            self.path, self.query = target, b""
            return 0
        if text[0] != c'/':
            start = self.take_authority(text, length)
            if start < 0:
                return self.refuse(400, "a target in no form that is answered here")
        end = <const char *>memchr(text + start, c'#', length - start)
        if end != NULL:
            length = end - text
        end = <const char *>memchr(text + start, c'?', length - start)
        if end == NULL:
            self.query = b""
            end = text + length
        else:
            self.query = PyBytes_FromStringAndSize(end + 1, text + length - end - 1)
        self.path = PyBytes_FromStringAndSize(text + start, end - text - start) if end > text + start else b"/"
        return 0

    cdef Py_ssize_t take_authority(self, const char *text, Py_ssize_t length) except? -1:
        """Put the host of a target in absolute form in the place of Host; return where its path begins, -1: it is none.

        A target with a host wins over Host (RFC 9112 3.2.2).
        """
        cdef Py_ssize_t start, end
        if length > 7 and equals_lower(<const uint8_t *>text, 4, b"http") and memcmp(text + 4, b"://", 3) == 0:
            start = 7
        elif length > 8 and equals_lower(<const uint8_t *>text, 5, b"https") and memcmp(text + 5, b"://", 3) == 0:
            start = 8
        else:
            return -1
        end = start
        while end < length and text[end] != c'/' and text[end] != c'?' and text[end] != c'#':
            end += 1
        if end == start or not is_host(<const uint8_t *>text + start, end - start):
            return -1
        host = (b"host", PyBytes_FromStringAndSize(text + start, end - start))
        if self.host_at < 0:
            self.headers.append(host)
        else:
            self.headers[self.host_at] = host
        return end

    cdef int end_head(self) except? -1:
        """A head is complete: check it, and give it to the subclass; return what llhttp is to do."""
        cdef int error
        self.in_head = False
        error = self.check_head()
        if error:
            return error
        # The parser takes whatever asks for an upgrade for the end of HTTP; we are free to ignore it (RFC 9110 7.8).
        self.upgrades = (
            self.parser.upgrade and self.parser.method == HTTP_GET and not self.is_http10 and not self.has_body
            and self.upgrade is not None and self.takes_upgrade()
        )
        self.parser.upgrade = self.upgrades
        self.field_bytes = 0
        return self.on_head() or (2 if self.upgrades else 0)


cdef inline bint equals_text(bytes text, bytes lower):
    """Whether `text` is `lower`, which is in lower case, whatever the case of `text`."""
    cdef Py_ssize_t length = PyBytes_GET_SIZE(lower)
    return PyBytes_GET_SIZE(text) == length and equals_lower(
        <const uint8_t *>PyBytes_AS_STRING(text), length, PyBytes_AS_STRING(lower)
    )


cdef inline bytes lower_name(const char *text, size_t length):
    """Return a piece of a header's name in lower case; the parser has checked its bytes."""
    cdef bytes name = PyBytes_FromStringAndSize(NULL, length)
    cdef char *copy = PyBytes_AS_STRING(name)
    cdef size_t i
    for i in range(length):
        copy[i] = <char>lower_token(<uint8_t>text[i])
    return name


cdef int on_message_begin(llhttp_t *parser) except? -1:
    (<RequestReader>parser.data).begin()
    return 0


cdef int on_protocol(llhttp_t *parser, const char *at, size_t length) except? -1:
    # llhttp reads the requests of RTSP and ICE as well, and does not tell.
    cdef size_t i
    for i in range(length):
        if at[i] != c'H' and at[i] != c'T' and at[i] != c'P':
            return (<RequestReader>parser.data).refuse(400, "not HTTP")
    return 0


cdef int on_url(llhttp_t *parser, const char *at, size_t length) except? -1:
    reader = <RequestReader>parser.data
    if reader.target is None:
        reader.target = PyBytes_FromStringAndSize(at, length)
        reader.section_start = at
    else:
        reader.target += at[:length]
    return reader.count(length)


cdef int on_header_field(llhttp_t *parser, const char *at, size_t length) except? -1:
    reader = <RequestReader>parser.data
    if reader.in_head:  # otherwise it is a trailer, which nobody is given
        if reader.name is None:
            reader.name = lower_name(at, length)
        else:
            reader.name += lower_name(at, length)
    return reader.count(length)


cdef int on_header_value(llhttp_t *parser, const char *at, size_t length) except? -1:
    reader = <RequestReader>parser.data
    if reader.in_head:
        if reader.value is None:
            reader.value = PyBytes_FromStringAndSize(at, length)
        else:
            reader.value += at[:length]
    return reader.count(length)


cdef int on_header_value_complete(llhttp_t *parser) except? -1:
    reader = <RequestReader>parser.data
    cdef int error = reader.count(SEPARATORS_BYTES)
    return reader.keep_field() if reader.in_head and not error else error


cdef int on_chunk_extension(llhttp_t *parser, const char *at, size_t length) except? -1:
    return (<RequestReader>parser.data).count(length)


cdef int on_headers_complete(llhttp_t *parser) except? -1:
    return (<RequestReader>parser.data).end_head()


cdef int on_body(llhttp_t *parser, const char *at, size_t length) except? -1:
    reader = <RequestReader>parser.data
    reader.section_start = at + length
    reader.field_bytes = reader.section_bytes = 0
    reader.body_bytes += length
    reader.wants_continue = False  # it has not waited
    if 0 < reader.body_limit < reader.body_bytes:
        return reader.refuse(413, "the body is too long")
    return reader.on_body(at, length)


cdef int on_message_complete(llhttp_t *parser) except? -1:
    reader = <RequestReader>parser.data
    reader.begun = reader.wants_continue = False
    reader.ended = not reader.keep_alive
    reader.on_complete()
    # The next request is read when this one is answered.
    return HPE_PAUSED


llhttp_settings_init(&settings)
settings.on_message_begin = on_message_begin
settings.on_protocol = on_protocol
settings.on_url = on_url
settings.on_header_field = on_header_field
settings.on_header_value = on_header_value
settings.on_header_value_complete = on_header_value_complete
settings.on_chunk_extension_name = on_chunk_extension
settings.on_chunk_extension_value = on_chunk_extension
settings.on_headers_complete = on_headers_complete
settings.on_body = on_body
settings.on_message_complete = on_message_complete
