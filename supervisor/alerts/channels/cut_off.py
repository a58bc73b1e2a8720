"""Owns the end of a conversation that lasts too long, whatever the other side does. Runs in a thread of the supervisor.

A time-out of a socket is for one step, and who sends a byte now and then is in time for ever.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

# Seconds for one step, and for all of it.
STEP_SECONDS = 10.0
WHOLE_SECONDS = 30.0


@contextlib.contextmanager
def cut_off(sock_of: Callable[[], socket.socket | None], seconds: float = WHOLE_SECONDS) -> Iterator[None]:
    """End what goes on with the socket that `sock_of` returns then, after so many seconds."""

    def end() -> None:
        with contextlib.suppress(OSError, AttributeError):  # it has ended meanwhile
            if sock := sock_of():
                sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def words_of(error: Exception) -> str:
    """Return why a conversation has failed, for people, without what was said in it."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or getattr(error, "reason", "") or type(error).__name__
    if isinstance(error, RuntimeError | MemoryError):  # Python's own words: "can't start new thread"
        return str(error) or "no memory is left"
    return type(error).__name__
