"""Owns `fastlb metrics --bind`: an HTTP server that answers GET /metrics, until a signal ends it.

Runs in the user's shell, or as a service. It only reads: what an app is asked changes nothing. Scrapes are carried out
one after the other, and beyond MAX_CONNECTIONS one is answered 503.
"""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST

from ...supervisor.errors import UsageError
from ...supervisor.settings.addresses import ANY_HOST, TcpAddress, UnixAddress, parse_address
from ...supervisor.sockets.refusals import explain_bind_error
from ...supervisor.sockets.unix_socket import listening_unix_socket

PATH = "/metrics"
MAX_CONNECTIONS = 16
BACKLOG = 16
UNIX_MODE = 0o660
KEEP_ALIVE_SECONDS = 5

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]


@contextmanager
def listening(spec: str) -> Iterator[tuple[socket.socket, str]]:
    """Hold a socket that listens, and its address for people; the file of a unix socket is removed at the end.

    Args:
        spec: HOST:PORT, PORT (of 127.0.0.1) or unix:PATH.

    Raises:
        UsageError: it is none of these.
        FastlbError: it cannot be listened on.
    """
    address = parse_address(spec)
    if isinstance(address, UnixAddress):
        path = Path(address.path).absolute()
        with listening_unix_socket(spec, path, UNIX_MODE, BACKLOG) as sock:
            try:
                yield sock, f"unix:{path}"
            finally:
                path.unlink(missing_ok=True)
    elif isinstance(address, TcpAddress):
        with _listening_tcp(spec, address) as sock:
            host, port = sock.getsockname()[:2]
            yield sock, f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
    else:
        raise UsageError(f"--bind {spec}: metrics are served on HOST:PORT, PORT (127.0.0.1) or unix:PATH")


def _listening_tcp(spec: str, address: TcpAddress) -> socket.socket:
    is_any = address.host == ANY_HOST and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if is_any or ":" in address.host else socket.AF_INET
    place = (address.host, address.port)
    try:
        return socket.create_server(place, family=family, backlog=BACKLOG, dualstack_ipv6=is_any)
    except OSError as error:
        raise explain_bind_error(error, spec, address) from error


def serve(sock: socket.socket, text: Callable[[], bytes]) -> None:
    """Answer scrapes until a signal ends it.

    Args:
        sock: listens; borrowed.
        text: returns what there is to say; called in a thread, once for each scrape.

    Raises:
        SystemExit: SIGTERM came.
        KeyboardInterrupt: ^C.
    """
    signal.signal(signal.SIGTERM, _end)
    config = uvicorn.Config(
        _Answers(text),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=KEEP_ALIVE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[sock])


def _end(*_: object) -> None:
    # uvicorn ends on the signal, and raises it again when it has.
    raise SystemExit(0)


class _Answers:
    """The ASGI app."""

    def __init__(self, text: Callable[[], bytes]) -> None:
        self._text = text
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Message, _: object, send: Send) -> None:
        """Answer a request."""
        if scope["path"] != PATH:
            await _respond(send, 404, f"there is {PATH}\n".encode())
        elif scope["method"] not in ("GET", "HEAD"):
            await _respond(send, 405, b"only GET\n", (b"allow", b"GET, HEAD"))
        else:
            async with self._turn:
                text = await asyncio.to_thread(self._text)
            await _respond(send, 200, text, content_type=CONTENT_TYPE_LATEST)


async def _respond(
    send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes], content_type: str = "text/plain"
) -> None:
    about = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": about})
    await send({"type": "http.response.body", "body": body})
