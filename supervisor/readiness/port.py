"""Owns the question whether somebody answers on a port of this machine, and the wait until it does.

Runs in the supervisor process. It only connects; nothing is sent.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from ...worker.wire import ListenerInfo

# A program may listen on either, or on both.
LOOPBACK = ("127.0.0.1", "::1")
ANSWER_TIMEOUT = 1.0
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.5


async def connect_to_port(port: int) -> socket.socket:
    """Return a connection to whoever listens on this port of the loopback; non-blocking, the caller's to close.

    Raises:
        OSError: nobody does.
    """
    refused: OSError = ConnectionRefusedError("nobody listens on it")
    for host in LOOPBACK:
        try:
            return await _connect_tcp(host, port)
        except OSError as error:
            refused = error if isinstance(refused, ConnectionRefusedError) else refused
    raise refused


async def connect_to(listener: ListenerInfo) -> socket.socket:
    """Return a connection to whoever accepts from a listener of ours; as `connect_to_port`.

    Raises:
        OSError: nobody can be reached there.
    """
    if listener.family == "unix":
        return await _connect(socket.AF_UNIX, listener.host)
    return await _connect_tcp({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host), listener.port)


async def _connect_tcp(host: str, port: int) -> socket.socket:
    return await _connect(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, port))


async def _connect(family: socket.AddressFamily, address: str | tuple[str, int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        # A port that nobody listens on may be the one that the kernel chose for our end: we then talk to ourselves.
        if family != socket.AF_UNIX and sock.getsockname() == sock.getpeername():
            raise ConnectionRefusedError("nobody listens on it")
    except BaseException:
        sock.close()
        raise
    return sock


class PortWatch:
    """Waits until a port answers, then calls `on_answer` once."""

    def __init__(self, port: int, on_answer: Callable[[], object]) -> None:
        self._task = asyncio.get_running_loop().create_task(self._wait(port, on_answer))

    def close(self) -> None:
        """Wait no more. May be called twice."""
        self._task.cancel()

    async def _wait(self, port: int, on_answer: Callable[[], object]) -> None:
        pause = FIRST_PAUSE
        while not await _answers(port):
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        on_answer()


async def _answers(port: int) -> bool:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_TIMEOUT):
            (await connect_to_port(port)).close()
            return True
    return False
