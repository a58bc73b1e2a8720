"""Owns the sending of a file by the kernel (sendfile(2)) on the socket of a plain connection.

Runs in Python workers, on the event loop's thread. Goes on when the socket can take more; never waits for a client.
"""

import asyncio
import os
from collections.abc import Callable

# A turn's share: a fast client with a large file must not keep the loop from the others.
TURN_BYTES = 1024 * 1024


class FileRange:
    """Bytes offset..end of a file.

    Attributes:
        fd: may share its position with others: only positioned reads are allowed. -1: closed.
        offset: moves on as the bytes are sent.
    """

    __slots__ = ("end", "fd", "offset")

    def __init__(self, fd: int, offset: int, end: int) -> None:
        self.fd = fd
        self.offset = offset
        self.end = end

    def close(self) -> None:
        """Close the descriptor, if it is the range's own; may be called twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class FileSender:
    """Sends a FileRange; its transport must hold nothing, and not be written to.

    Attributes:
        sent_bytes: that the kernel has taken.
        ended: nothing more is sent.
        error: why it ended early; None: it has not.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, socket_fd: int, file: FileRange, on_end: Callable[[], object]
    ) -> None:
        """Call `on_end` once, later, unless close() comes before. `socket_fd` and `file` are borrowed.

        Raises OSError when there is no descriptor left, or the kernel watches no more of them.
        """
        self.sent_bytes = 0
        self.ended = False
        self.error: Exception | None = None
        self._loop = loop
        # The event loop refuses to watch a descriptor that a transport owns, not a duplicate of it.
        self._socket_fd = os.dup(socket_fd)
        os.set_blocking(self._socket_fd, False)  # that of a health check need not be
        self._file = file
        self._on_end = on_end
        try:
            loop.add_writer(self._socket_fd, self._send)
        except OSError:
            os.close(self._socket_fd)
            raise

    def close(self) -> None:
        """Stop. May be called twice."""
        self.ended = True
        if self._socket_fd >= 0:
            self._loop.remove_writer(self._socket_fd)
            os.close(self._socket_fd)
            self._socket_fd = -1

    def _send(self) -> None:
        file = self._file
        try:
            sent = os.sendfile(self._socket_fd, file.fd, file.offset, min(file.end - file.offset, TURN_BYTES))
        except BlockingIOError:
            return
        except OSError as error:
            self.error = error
        else:
            self.sent_bytes += sent
            file.offset += sent
            if not sent:
                self.error = RuntimeError("the file has become shorter than its Content-Length")
        if self.error is not None or file.offset == file.end:
            self.close()
            self._on_end()
