"""Owns raw HTTP/1.1 for the worker's tests: exact bytes out, one response after another in.

Runs in the test process. Checks the framing itself, so a response that is cut short is never taken for whole.
"""

import socket
import struct
from types import TracebackType
from typing import Self

import msgspec


class CutShort(ConnectionError):
    """The connection ended inside a response, or was reset."""


class RawResponse(msgspec.Struct, frozen=True):
    """One response. `headers`: (lower case name, value); `complete_at_close`: its end was the close."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    complete_at_close: bool = False

    def header(self, name: str) -> str | None:
        """Return the value of a header that is there at most once."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None


class RawClient:
    """One connection, read through a buffer of its own. Closes the socket at the end of the block."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._buffer = b""

    def send(self, data: bytes) -> Self:
        """Send exact bytes."""
        self.socket.sendall(data)
        return self

    def finish(self) -> Self:
        """Say that nothing more comes (half-close)."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def leave(self) -> None:
        """Close the connection so that the server notices at once: by a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def response(self, *, head: bool = False) -> RawResponse:
        """Read one response; `head`: to a HEAD request. Raises CutShort."""
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, reason = [*lines[0].split(" ", 2), ""][:3]
        assert version == "HTTP/1.1"
        pairs = [line.split(": ", 1) for line in lines[1:] if line]
        headers = tuple((name.lower(), value) for name, value in pairs)
        at_close = False
        body = b""
        if not head and int(status) >= 200 and int(status) not in (204, 304):
            body, at_close = self._read_body(dict(headers))
        return RawResponse(int(status), reason, headers, body, at_close)

    def read_until(self, end: bytes) -> bytes:
        """Read to `end` and return what came before it."""
        while end not in self._buffer:
            self._more()
        data, _, self._buffer = self._buffer.partition(end)
        return data

    def read_exactly(self, size: int) -> bytes:
        """Read `size` bytes."""
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def rest(self) -> bytes:
        """Read to the end of the connection. Raises CutShort when it is reset."""
        while True:
            try:
                self._more()
            except EOFError:
                data, self._buffer = self._buffer, b""
                return data

    def is_closed(self) -> bool:
        """Wait for the end of the connection and say whether nothing came before it."""
        return self.rest() == b""

    def _read_body(self, headers: dict[str, str]) -> tuple[bytes, bool]:
        if "transfer-encoding" in headers:
            assert headers["transfer-encoding"] == "chunked"
            assert "content-length" not in headers
            return self._read_chunks(), False
        if "content-length" in headers:
            return self.read_exactly(int(headers["content-length"])), False
        return self.rest(), True

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.read_until(b"\r\n"), 16):
            body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
        assert self.read_exactly(2) == b"\r\n"
        return body

    def _more(self) -> None:
        try:
            data = self.socket.recv(262144)
        except ConnectionResetError as error:
            raise CutShort("reset") from error
        if not data:
            raise CutAtEnd(f"ended after {self._buffer[:80]!r}")
        self._buffer += data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.socket.close()


class CutAtEnd(CutShort, EOFError):
    """The connection ended normally, too early for what was awaited."""


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    """Return an HTTP/1.1 request with Host, `headers` ("Name: value"), and Content-Length with a body."""
    lines = [f"{method} {target} HTTP/1.1", "Host: test", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def get(target: str, *headers: str) -> bytes:
    """Return a GET request."""
    return request("GET", target, *headers)
