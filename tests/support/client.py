"""Owns single HTTP/1.1 exchanges over real sockets, with the steps apart: connect, send, receive.

Runs in the test process. Every step has a deadline; nothing is retried.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import msgspec

from .load_plan import Address
from .response import UNTIL_CLOSE, expected_length, is_complete, status_of
from .waiting import scaled


class Response(msgspec.Struct, frozen=True):
    """A complete response; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Connection:
    """One connection of a client, open until `close()` or the end of the block."""

    def __init__(self, address: Address, timeout: float = 5.0, source: str = "") -> None:
        family = socket.AF_UNIX
        if not isinstance(address, str):
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(scaled(timeout))
        try:
            if source:
                self.sock.bind((source, 0))
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise

    def send(self, path: str = "/", *, close: bool = False, body: bytes = b"") -> None:
        """Send a request: POST with a body, else GET."""
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nhost: test\r\n"
        head += "connection: close\r\n" * close + f"content-length: {len(body)}\r\n" * bool(body)
        self.sock.sendall(head.encode() + b"\r\n" + body)

    def receive(self) -> Response:
        """Read one whole response.

        Raises:
            ConnectionError: the connection ended before the response was complete.
            TimeoutError: it did not come in time.
        """
        received = b""
        expected = 0
        while True:
            data = self.sock.recv(65536)
            received += data
            expected = expected or expected_length(received)
            if is_complete(received, expected, closed=not data):
                return _parse(received)
            if not data:
                raise ConnectionError(f"closed after {len(received)} bytes of a response")

    def exchange(self, path: str = "/", *, close: bool = False, body: bytes = b"") -> Response:
        """Send a request and read its response."""
        self.send(path, close=close, body=body)
        return self.receive()

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()


def get(address: Address, path: str = "/", timeout: float = 5.0, source: str = "") -> Response:
    """Make one request on a connection of its own; `source`: the client's own address."""
    with Connection(address, timeout, source) as connection:
        return connection.exchange(path, close=True)


def _parse(raw: bytes) -> Response:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if expected_length(raw) < UNTIL_CLOSE:
        body = _dechunk(body)
    return Response(status_of(raw), headers, body)


def _dechunk(body: bytes) -> bytes:
    parts = []
    while body:
        size_line, _, rest = body.partition(b"\r\n")
        size = int(size_line.split(b";")[0], 16)
        parts.append(rest[:size])
        body = rest[size + 2 :]
        if not size:
            break
    return b"".join(parts)


@contextmanager
def kept_busy(address: Address, path: str = "/burn/0.1") -> Iterator[None]:
    """Ask for something again and again until the end of the block; begin it when the first answer has come."""
    has_begun, is_over = threading.Event(), threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            get(address, path, 30.0)
            has_begun.set()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert has_begun.wait(scaled(30.0))
        yield
    finally:
        is_over.set()
        asking.join()
