"""Owns how an access log line is made of a request that was answered: a format, compiled once, writes into a buffer.

Runs in workers, in any thread; a buffer is one thread's at a time. It asks a request for a header or a variable only
when the format names one.
"""

from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec
from posix.unistd cimport getpid

from fastlb.worker.access_log.line_buffer cimport LineBuffer

from .line_format import DEFAULT_LINE, JSON, local_time, parse_access_log_format, user_of, utc_time

cdef enum:
    NS_OF_US = 1000
    NS_OF_MS = 1000000
    NS_OF_S = 1000000000

cdef str REQUEST_ID = "x-request-id"
cdef bytes NOTHING = b"-"


cdef class AnsweredRequest:
    """What a line can tell of a request. A server fills one, or has a class of its own that extends it.

    Attributes:
        client: address of the client; "" if it has none.
        client_port: its port; 0 if it has none.
        method, target, protocol: as the client sent them; `target` is path and query.
        status: of the response.
        body_bytes: how much of a body was sent.
        duration_ns: from the head of the request to the end of the response.
    """

    def __cinit__(self):
        self.client = self.method = self.target = self.protocol = ""

    cpdef object request_header(self, str name):
        """Return the request's header `name`, whatever its case, as str or bytes; None: it has none."""
        return None

    cpdef object response_header(self, str name):
        """Return the header `name` of the app's response, as `request_header`."""
        return None

    cpdef object variable(self, str name):
        """Return the variable `name` of the request or of the process; None: there is none."""
        return None


cdef class LineMaker:
    """Makes lines as `text` says, a format as in `--access-log-format`; "": client, request line and status.

    Raises ValueError for a format that is none.
    """

    def __cinit__(self, str text not None):
        parts = parse_access_log_format(text) if text else DEFAULT_LINE
        self.is_json = text == JSON
        self.second = -1
        self.count = len(parts)
        self.pieces = <Piece *>PyMem_Calloc(max(self.count, 1), sizeof(Piece))
        if self.pieces == NULL:
            raise MemoryError
        # Text is added as it is, and names are asked for as they are.
        self.arguments = [
            part.argument if part.atom else part.argument.encode("ascii", "backslashreplace") for part in parts
        ]
        for at, part in enumerate(parts):
            self.pieces[at].atom = ord(part.atom) if part.atom else 0
            self.pieces[at].width = part.width
            self.pieces[at].argument = <void *>self.arguments[at]

    def __dealloc__(self):
        PyMem_Free(self.pieces)

    def line(self, AnsweredRequest request not None):
        """Return the line of a request, without its end."""
        cdef LineBuffer buffer = LineBuffer()
        self.add_line(buffer, request)
        return buffer.data[:buffer.length].decode("ascii")

    cdef int add_line(self, LineBuffer buffer, AnsweredRequest request) except -1:
        """Add the line of a request, without its end. When it raises, a part may have been added."""
        return self.add_object(buffer, request) if self.is_json else self.add_pieces(buffer, request)

    cdef int add_pieces(self, LineBuffer buffer, AnsweredRequest request) except -1:
        cdef Py_ssize_t at
        cdef size_t start
        cdef Piece *piece
        for at in range(self.count):
            piece = &self.pieces[at]
            start = buffer.length
            if piece.atom == 0:
                buffer.add_bytes(<bytes>piece.argument)
            elif piece.atom == c't':
                self.add_time(buffer)
            elif not add_number(buffer, piece.atom, request):
                add_text(buffer, piece, request)
            if piece.width:
                buffer.pad(start, piece.width)
        return 0

    cdef int add_time(self, LineBuffer buffer) except -1:
        cdef timespec now
        clock_gettime(CLOCK_REALTIME, &now)
        if now.tv_sec != self.second:
            # Other threads may run meanwhile, and make lines for logging: text and second change together.
            text = utc_time(now.tv_sec) if self.is_json else local_time(now.tv_sec)
            self.second_text = text.encode("ascii", "backslashreplace")
            self.second = now.tv_sec
        buffer.add_bytes(self.second_text)
        if self.is_json:
            buffer.add(".", 1)
            buffer.add_digits(now.tv_nsec // NS_OF_MS, 3)
        return 0

    cdef int add_object(self, LineBuffer buffer, AnsweredRequest request) except -1:
        cdef Py_ssize_t length = length_of(request.target)
        cdef Py_ssize_t path_end = end_of_path(request.target, length)
        buffer.add_bytes(b'{"time":"')
        self.add_time(buffer)
        buffer.add_bytes(b'Z"')
        self.add_member(buffer, b"client", request.client)
        self.add_member(buffer, b"method", request.method)
        buffer.add_bytes(b',"path":"')
        buffer.add_json(request.target, 0, path_end)
        buffer.add_bytes(b'","query":"')
        buffer.add_json(request.target, min(path_end + 1, length), length)
        buffer.add_bytes(b'"')
        self.add_member(buffer, b"protocol", request.protocol)
        buffer.add_bytes(b',"status":')
        buffer.add_number(request.status)
        buffer.add_bytes(b',"bytes":')
        buffer.add_number(request.body_bytes)
        buffer.add_bytes(b',"duration_ms":')
        buffer.add_number(request.duration_ns // NS_OF_MS)
        buffer.add_bytes(b".")
        buffer.add_digits(request.duration_ns % NS_OF_MS // NS_OF_US, 3)
        self.add_member(buffer, b"referer", request.request_header("referer") or "")
        self.add_member(buffer, b"user_agent", request.request_header("user-agent") or "")
        request_id = request.request_header(REQUEST_ID) or request.response_header(REQUEST_ID)
        if request_id:
            self.add_member(buffer, b"request_id", request_id)
        buffer.add_bytes(b"}")
        return 0

    cdef int add_member(self, LineBuffer buffer, bytes name, object text) except -1:
        buffer.add_bytes(b',"')
        buffer.add_bytes(name)
        buffer.add_bytes(b'":"')
        buffer.add_json(text, 0, length_of(text))
        buffer.add_bytes(b'"')
        return 0


cdef int add_number(LineBuffer buffer, int atom, AnsweredRequest request) except -1:
    """Add what a numeric atom says, and return 1; 0: it is another atom."""
    cdef int64_t duration_ns = request.duration_ns
    if atom == c's':
        buffer.add_number(request.status)
    elif atom == c'B' or (atom == c'b' and request.body_bytes > 0):
        buffer.add_number(request.body_bytes)
    elif atom == c'D':
        buffer.add_number(duration_ns // NS_OF_US)
    elif atom == c'M':
        buffer.add_number(duration_ns // NS_OF_MS)
    elif atom == c'T':
        buffer.add_number(duration_ns // NS_OF_S)
    elif atom == c'L':
        buffer.add_number(duration_ns // NS_OF_S)
        buffer.add(".", 1)
        buffer.add_digits(duration_ns % NS_OF_S // NS_OF_US, 6)
    else:
        return 0
    return 1


cdef int add_text(LineBuffer buffer, Piece *piece, AnsweredRequest request) except -1:
    """Add what any other atom says."""
    cdef Py_ssize_t length, path_end
    cdef int atom = piece.atom
    if atom == c'r':
        add_request_line(buffer, request)
    elif atom == c'U' or atom == c'q':
        length = length_of(request.target)
        path_end = end_of_path(request.target, length)
        if atom == c'U':
            buffer.add_escaped(request.target, 0, path_end)
        else:
            buffer.add_escaped(request.target, min(path_end + 1, length), length)
    elif atom == c'c':
        add_client(buffer, request)
    elif atom == c'p':
        buffer.add("<", 1)
        buffer.add_number(getpid())
        buffer.add(">", 1)
    elif atom == c'm':
        buffer.add_escaped(request.method, 0, length_of(request.method))
    elif atom == c'H':
        buffer.add_escaped(request.protocol, 0, length_of(request.protocol))
    else:
        add_or_nothing(buffer, asked_for(piece, request))
    return 0


cdef object asked_for(Piece *piece, AnsweredRequest request):
    """Return what an atom names that a request may not have."""
    cdef int atom = piece.atom
    if atom == c'h':
        return request.client
    if atom == c'f':
        return request.request_header("referer")
    if atom == c'a':
        return request.request_header("user-agent")
    if atom == c'i':
        return request.request_header(<str>piece.argument)
    if atom == c'o':
        return request.response_header(<str>piece.argument)
    if atom == c'e':
        return request.variable(<str>piece.argument)
    if atom == c'u':
        authorization = request.request_header("authorization") or ""
        return user_of(authorization.decode("latin-1") if isinstance(authorization, bytes) else authorization)
    return None


cdef int add_or_nothing(LineBuffer buffer, object text) except -1:
    """Add a text, or "-" where there is none."""
    if text:
        return buffer.add_escaped(text, 0, length_of(text))
    return buffer.add_bytes(NOTHING)


cdef int add_request_line(LineBuffer buffer, AnsweredRequest request) except -1:
    buffer.add_escaped(request.method, 0, length_of(request.method))
    buffer.add(" ", 1)
    buffer.add_escaped(request.target, 0, length_of(request.target))
    buffer.add(" ", 1)
    return buffer.add_escaped(request.protocol, 0, length_of(request.protocol))


cdef int add_client(LineBuffer buffer, AnsweredRequest request) except -1:
    """Add the client as uvicorn does: nothing where there is none."""
    if request.client:
        buffer.add_escaped(request.client, 0, length_of(request.client))
        buffer.add(":", 1)
        buffer.add_number(request.client_port)
    return 0


cdef Py_ssize_t length_of(object text) except -1:
    return PyBytes_GET_SIZE(text) if type(text) is bytes else len(<str?>text)


cdef Py_ssize_t end_of_path(object target, Py_ssize_t length) except -2:
    """Return where the path ends: at the question mark, or at the end."""
    cdef Py_ssize_t found = (<bytes>target).find(b"?") if type(target) is bytes else (<str?>target).find("?")
    return length if found < 0 else found
