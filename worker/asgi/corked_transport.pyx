"""Owns the sending of the head of a response together with what follows it, in one system call.

Runs in ASGI workers, on the event loop's thread. uvicorn writes head and body apart, and with TCP_NODELAY each write is
a system call and a packet: a sixth of the cost of a small response. A head waits at most until the loop's next turn;
nothing else is ever held back.
"""

HEAD_BEGINS = b"HTTP/1."
# From here on copying a body costs more than a vector of two buffers.
LARGE_BODY_BYTES = 16384


cdef class CorkedTransport:
    """Wraps `inner`, a transport of `loop`. Everything but writing and closing is the inner transport's own."""

    cdef readonly object inner
    cdef object call_soon
    cdef object head  # a head that has been written and not sent, or None

    def __cinit__(self, inner, loop):
        self.inner = inner
        self.call_soon = loop.call_soon
        self.head = None

    def write(self, data):
        """Send `data` with a waiting head, or let it wait when it is a head itself."""
        if self.head is None:
            if type(data) is bytes and (<bytes>data).startswith(HEAD_BEGINS):
                self.head = data
                self.call_soon(self.flush)
            else:
                self.inner.write(data)
            return
        head, self.head = self.head, None
        if len(data) < LARGE_BODY_BYTES:
            self.inner.write(head + data)
        else:
            self.inner.writelines((head, data))

    def writelines(self, buffers):
        """Send what waits, then `buffers`."""
        self.flush()
        self.inner.writelines(buffers)

    def write_eof(self):
        """Send what waits, then end our side of the connection."""
        self.flush()
        self.inner.write_eof()

    def flush(self):
        """Send a head that waits."""
        if self.head is not None:
            head, self.head = self.head, None
            self.inner.write(head)

    def close(self):
        """Send what waits, then close."""
        self.flush()
        self.inner.close()

    def is_closing(self):
        """Say whether the transport is closing or closed."""
        return self.inner.is_closing()

    def __getattr__(self, name):
        return getattr(self.inner, name)
