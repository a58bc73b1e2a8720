"""Owns `fastlb metrics --bind`, up to the signal that ends it. Runs in the user's shell, or as a service."""

import asyncio
import signal
import socket
from collections.abc import Callable

from ...supervisor.metrics.server import MetricsServer


def serve(sock: socket.socket, text: Callable[[], bytes]) -> None:
    """Answer scrapes until SIGTERM.

    Args:
        sock: listens; it is closed at the end.
        text: returns what there is to say; called in a thread, once for each scrape.

    Raises:
        KeyboardInterrupt: ^C.
    """
    asyncio.run(_serve(sock, text))


async def _serve(sock: socket.socket, text: Callable[[], bytes]) -> None:
    server, ended = MetricsServer(lambda: asyncio.to_thread(text)), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await server.start(sock)
    try:
        await ended.wait()
    finally:
        server.close()
