"""Owns serving metrics: a small HTTP server that answers GET /metrics, each time on a connection of its own.

Runs in the supervisor process, and in the shell that serves the metrics of all apps. It only reads: what a client sends
beyond its request line means nothing. Bounded in clients, in bytes and in time; scrapes are made one after the other.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UsageError
from ..settings.addresses import ANY_HOST, TcpAddress, UnixAddress, parse_address
from ..sockets.refusals import explain_bind_error
from ..sockets.unix_socket import listening_unix_socket
from .exposition import CONTENT_TYPE

PATH = "/metrics"
MAX_CONNECTIONS = 16
MAX_HEAD_BYTES = 8192
HEAD_SECONDS = 5.0
ANSWER_SECONDS = 10.0
BACKLOG = 16
UNIX_MODE = 0o660
WORDS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


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


class MetricsServer:
    """Answers scrapes on the running event loop.

    Args:
        text: returns what there is to say; awaited once for each scrape.
    """

    def __init__(self, text: Callable[[], Awaitable[bytes]]) -> None:
        self._text = text
        self._turn = asyncio.Lock()
        self._open = 0
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Answer who connects to `sock`, which listens; it is closed with the server."""
        start = asyncio.start_unix_server if sock.family == socket.AF_UNIX else asyncio.start_server
        sock.setblocking(False)
        self._server = await start(self._serve, sock=sock, limit=MAX_HEAD_BYTES, backlog=BACKLOG)

    def close(self) -> None:
        """Answer nobody any more. May be called twice."""
        if self._server:
            self._server.close()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > MAX_CONNECTIONS:  # whether it asks or not
                writer.write(_answer(503, b"too many scrapes\n"))
                writer.close()
                return
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(await self._answer(head))
            async with asyncio.timeout(ANSWER_SECONDS):
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()  # whoever it was has no use for an answer, or does not read it
        finally:
            self._open -= 1

    async def _answer(self, head: bytes) -> bytes:
        words = head.partition(b"\r\n")[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _answer(400, b"that is no HTTP/1.1\n")
        method, path = words[0], words[1].partition(b"?")[0]
        if path != PATH.encode():
            return _answer(404, f"there is {PATH}\n".encode())
        if method not in (b"GET", b"HEAD"):
            return _answer(405, b"only GET\n", "Allow: GET, HEAD\r\n")
        async with self._turn, asyncio.timeout(ANSWER_SECONDS):
            text = await self._text()
        answer = _answer(200, text, content_type=CONTENT_TYPE)
        return answer[: -len(text)] if method == b"HEAD" else answer


def _answer(status: int, body: bytes, more: str = "", content_type: str = "text/plain; charset=utf-8") -> bytes:
    head = (
        f"HTTP/1.1 {status} {WORDS[status]}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"{more}Connection: close\r\n\r\n"
    )
    return head.encode() + body
