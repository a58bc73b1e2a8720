"""Owns the supervisor's end of a program's IPC channel: JSON values, one a line, as Node and PM2 write them.

Runs in the supervisor process. A program need not know of it: the end of the channel means nothing, nor does any line
but "ready" and "unready". What it writes costs no memory beyond one line.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

import msgspec

READY = "ready"
UNREADY = "unready"
READ_BYTES = 64 * 1024
# No word that we know is longer, and a longer line is passed over.
MOST_BYTES = 4096


class ProgramChannel:
    """One program's channel. Owns `sock`, our end of the pair, non-blocking.

    `on_word` is called with READY or UNREADY whenever the program says so.
    """

    def __init__(self, sock: socket.socket, on_word: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._on_word = on_word
        self._inbox = b""
        self._is_passing_over = False
        self._loop.add_reader(sock.fileno(), self._on_readable)

    def send(self, word: str) -> bool:
        """Write a line; return whether the program can have it."""
        try:
            line = msgspec.json.encode(word) + b"\n"
            return self._sock.send(line) == len(line)
        except OSError:
            return False

    def take_last_words(self) -> None:
        """Read what a process that has exited left behind."""
        while self._read():
            pass

    def close(self) -> None:
        """Stop reading and close our end."""
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()

    def _on_readable(self) -> None:
        if self._read() is False:
            self._loop.remove_reader(self._sock.fileno())

    def _read(self) -> bool | None:
        """Read once. True: there may be more. False: the end. None: nothing now."""
        try:
            chunk = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return False
        *lines, self._inbox = (self._inbox + chunk).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._inbox) > MOST_BYTES:
            self._inbox, self._is_passing_over = b"", True
        return bool(chunk)

    def _take(self, line: bytes) -> None:
        is_rest, self._is_passing_over = self._is_passing_over, False
        if is_rest or len(line) > MOST_BYTES:
            return
        with contextlib.suppress(msgspec.DecodeError, UnicodeError, RecursionError):
            word = msgspec.json.decode(line)
            if word in (READY, UNREADY):
                self._on_word(word)


def open_channel(ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    """Return our end and the program's; each stack closes its own.

    Raises:
        OSError: no descriptors are left.
    """
    channel, program_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.enter_context(channel)
    theirs.enter_context(program_end)
    channel.setblocking(False)
    return channel, program_end


def open_standard_input(ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[int, int]:
    """Return our end of a program's standard input, non-blocking, and the program's; each stack closes its own.

    Raises:
        OSError: no descriptors are left.
    """
    read_fd, write_fd = os.pipe()
    ours.callback(os.close, write_fd)
    theirs.callback(os.close, read_fd)
    os.set_blocking(write_fd, False)
    return write_fd, read_fd
