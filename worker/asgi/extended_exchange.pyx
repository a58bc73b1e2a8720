"""Owns what ASGI's extensions add to an exchange: early hints, trailers, and files that are sent by their paths.

Runs in ASGI workers, on the event loop's thread. What the messages mean is said in asgi.readthedocs.io (Extensions).
`http.response.debug` is for tests' clients: the specification says that servers should not have it.
"""

import os
import stat

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t

from fastlb.worker.asgi.exchange cimport Exchange
from fastlb.worker.http.characters cimport is_field_value, lower_token

from fastlb.worker.http.file_sender import FileRange

cdef enum:
    SLICE_BYTES = 65536  # of a file that is read; up to here one is sent together with its head

# They say how a message is framed and where it goes, which is said before the body (RFC 9110 6.5.1).
cdef frozenset NO_TRAILERS = frozenset([
    b"connection", b"content-encoding", b"content-length", b"content-range", b"content-type", b"host", b"keep-alive",
    b"te", b"trailer", b"transfer-encoding", b"upgrade",
])


cdef class ExtendedExchange(Exchange):
    """One request and its response, which may have hints before it, trailers behind it, or a file in it."""

    cdef int take_other(self, kind, message) except -1:
        if kind == "http.response.early_hint":
            return self.send_early_hint(message["links"])
        if kind == "http.response.trailers" and self.body_complete:
            return self.add_trailers(message)
        if kind == "http.response.pathsend" and self.started and not self.body_complete and not self.body_bytes:
            self.sending = self.send_file(message["path"])
            return 0
        if self.body_complete:
            raise RuntimeError(f"Expected ASGI message 'http.response.trailers', but got '{kind}'.")
        return Exchange.take_other(self, kind, message)

    cdef int send_early_hint(self, links) except -1:
        """Send links of the response to come; nothing happens when it has begun, or the client knows no 103."""
        lines = [field_line(b"link", link) for link in links]
        if self.begun or self.is_http10 or not lines:
            return 0
        return self.connection.write(b"HTTP/1.1 103 Early Hints\r\n%b\r\n" % b"".join(lines))

    # trailers

    cdef bint takes_trailers(self) except -1:
        """Whether the client is to get trailers: it says that it reads them, and the body is in chunks."""
        if self.is_http10 or self.is_head or self.status in (204, 304) or self.content_length >= 0:
            return False
        return any(
            name == b"te" and b"trailers" in [token.strip() for token in value.lower().split(b",")]
            for name, value in self.scope["headers"]
        )

    cdef int put_last_part(self, bytes body) except -1:
        if self.body_complete:
            raise RuntimeError("Expected ASGI message 'http.response.trailers', but got 'http.response.body'.")
        if not self.takes_trailers():
            return self.put_body(body, True)  # trailers that come nevertheless are dropped
        self.body_complete = True
        self.trailer_lines = []
        return self.put_body(body, False)

    cdef int add_trailers(self, message) except -1:
        """Keep trailers; behind the last ones the response is complete."""
        for name, value in message.get("headers", ()):
            line = field_line(name, value)
            if name.lower() not in NO_TRAILERS:
                self.trailer_lines.append(line)
        if message.get("more_trailers", False):
            return 0
        self.trailers = False
        self.connection.write(b"0\r\n%b\r\n" % b"".join(self.trailer_lines))
        return self.finish()

    # files

    async def send_file(self, path):
        """Send the file at `path` as the body, or as much of it as the app's Content-Length says.

        Raises OSError when it cannot be read, RuntimeError when it is shorter or no file.
        """
        with open(path, "rb", buffering=0, opener=open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RuntimeError(f"{path} is not a file")
            count = status.st_size if self.content_length < 0 else min(status.st_size, self.content_length)
            if self.sends_by_kernel(count):
                await self.send_by_kernel(file.fileno(), count)
            else:
                await self.send_by_reading(file.fileno(), count)

    cdef bint sends_by_kernel(self, Py_ssize_t count) except -1:
        connection = self.connection
        return (
            count > SLICE_BYTES and not self.begun and not self.is_head and self.status not in (204, 304)
            and connection is not None and not connection.service.secure and not self.trailers
        )

    async def send_by_reading(self, int fd, Py_ssize_t count):
        """Send `count` bytes as the app would: they are read, one slice after another."""
        cdef Py_ssize_t offset = 0
        cdef bint is_last = False
        while not is_last and self.connection is not None:
            data = os.pread(fd, min(SLICE_BYTES, count - offset), offset)
            offset += len(data)
            is_last = offset == count or not data or self.is_head
            await self.respond({"type": "http.response.body", "body": data, "more_body": not is_last})

    async def send_by_kernel(self, int fd, Py_ssize_t count):
        """Send `count` bytes from file to socket in the kernel, or slices where the client does not take the head."""
        sender = self.connection.begin_file(self.make_head(NULL, 0, count, True), FileRange(fd, 0, count))
        if sender is None:
            await self.write_slices(fd, count)
        else:
            await self.await_file(sender)
        if self.connection is not None:
            self.finish()

    async def await_file(self, sender):
        """Wait until `sender` has ended, or the client is gone. Raises why it could not send everything."""
        try:
            while not sender.ended and self.connection is not None:
                await self.await_writable()
        finally:
            sender.close()
            if self.connection is not None:
                self.connection.end_file()
        if isinstance(sender.error, ConnectionError):
            self.break_off()
        elif sender.error is not None:
            raise sender.error

    async def write_slices(self, int fd, Py_ssize_t count):
        """Write `count` bytes behind a head that was written."""
        cdef Py_ssize_t offset = 0
        while offset < count:
            while self.connection is not None and self.connection.writing_paused:
                await self.await_writable()
            if self.connection is None:
                return
            data = os.pread(fd, min(SLICE_BYTES, count - offset), offset)
            if not data:
                raise RuntimeError("the file has become shorter than its Content-Length")
            offset += len(data)
            self.connection.write(data)


def open_at_once(path, flags):
    """Open a file, and wait for nobody: not for who writes into a pipe of that name."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


cdef bytes field_line(name, value):
    """Return a header as it stands on the wire. Raises ValueError for what may not be sent."""
    cdef bytes checked_name, checked_value
    if isinstance(name, str) or isinstance(value, str):
        raise TypeError("names and values of headers are bytes, not str")
    checked_name, checked_value = bytes(memoryview(name)), bytes(memoryview(value))
    cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(checked_name)
    cdef Py_ssize_t i
    for i in range(PyBytes_GET_SIZE(checked_name)):
        if not lower_token(text[i]):
            raise ValueError("Invalid HTTP header name.")
    if not checked_name:
        raise ValueError("Invalid HTTP header name.")
    if not is_field_value(<const uint8_t *>PyBytes_AS_STRING(checked_value), PyBytes_GET_SIZE(checked_value)):
        raise ValueError("Invalid HTTP header value.")
    return b"%b: %b\r\n" % (checked_name.lower(), checked_value)
