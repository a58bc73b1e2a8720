"""Owns the thread of a worker that reads requests for actions, and how answers are written.

Runs in workers, from before the app is imported: one thread that sleeps in recvmsg(2) until somebody asks. It works
while the event loop is blocked, and while the app is imported; not while code holds the interpreter's lock, of which
the supervisor hears by silence. It must never raise into the app, nor read or close anything but its own descriptor.
"""

import atexit
import contextlib
import socket
import struct
import time
from _thread import allocate_lock, start_new_thread  # now, before an app can replace them

import msgspec

from .running import ActionRunner, close
from .wire import MAX_LINE_BYTES, ActionBegun, ActionMessage, ActionRequest

CHUNK_BYTES = 65536
ANCILLARY_BYTES = socket.CMSG_SPACE(4 * struct.calcsize("i"))


class ActionChannel:
    """The worker's end; adopts `sock`."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sending = allocate_lock()
        self._fds: list[int] = []
        self._runner = ActionRunner(self._send)

    def serve(self) -> None:
        """Take requests until the supervisor is gone, or the app has closed the descriptor. In a thread of its own."""
        self._runner.hide_this_thread()
        inbox = b""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            while chunk := self._receive():
                *lines, inbox = (inbox + chunk).split(b"\n")
                for line in lines:
                    self._take(line)
                if len(inbox) > MAX_LINE_BYTES:
                    break
        while self._fds:
            close(self._fds.pop())

    def _receive(self) -> bytes:
        chunk, ancillary, _, _ = self._socket.recvmsg(CHUNK_BYTES, ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC)
        self._fds += [int(fd) for *_, data in ancillary for (fd,) in struct.iter_unpack("i", data)]
        return chunk

    def _take(self, line: bytes) -> None:
        request = msgspec.json.decode(line, type=ActionRequest)
        fd = self._fds.pop(0) if request.has_file and self._fds else None
        if time.monotonic() > request.begin_by:  # it lay here while the interpreter was blocked, and nobody waits
            close(fd)
            return
        self._send(ActionBegun(request.number))
        self._runner.start(request, fd)

    def _send(self, message: ActionMessage) -> None:
        with contextlib.suppress(OSError), self._sending:  # nobody is there to be told
            self._socket.sendall(msgspec.json.encode(message) + b"\n")


def start_action_thread(lifeline_fd: int) -> None:
    """Take requests from `lifeline_fd` from now on; adopts it. Does nothing when it is a pipe, as of older releases."""
    try:
        sock = socket.socket(fileno=lifeline_fd)
    except OSError:
        return
    atexit.register(sock.detach)  # the thread sleeps there until the process has ended; the kernel closes it then
    start_new_thread(ActionChannel(sock).serve, ())
