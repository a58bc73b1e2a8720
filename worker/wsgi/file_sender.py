"""Owns the sending of a file by the kernel (sendfile(2)) on the socket of a plain connection.

Runs in the event loop's thread of a worker process. Goes on when the socket can take more; never waits.
"""

import asyncio
import os
from collections.abc import Callable

from .file_wrapper import FileRange

# A turn's share: a fast client with a large file must not keep the loop from the others.
TURN_BYTES = 1024 * 1024


class FileSender:
    """Sends a FileRange; the transport must have nothing buffered, and must not be written to meanwhile."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        socket_fd: int,
        file: FileRange,
        on_end: Callable[[bool], object],
    ) -> None:
        """Call `on_end(complete)` once, later. `socket_fd` and `file` are borrowed."""
        self._loop = loop
        # The event loop refuses to watch a descriptor that a transport owns, not a duplicate of it.
        self._socket_fd = os.dup(socket_fd)
        self._file = file
        self._on_end = on_end
        loop.add_writer(self._socket_fd, self._send)

    def close(self) -> None:
        """Stop; on_end is not called any more. May be called twice."""
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
        except OSError:
            sent = 0  # the client has left, or the disk fails: the response cannot be completed
        file.offset += sent
        if not sent or file.offset == file.end:
            self.close()
            self._on_end(file.offset == file.end)
