"""Owns single HTTP exchanges over a given socket: what worker tests say to a connection that they handed over.

Runs in the test process. The response is parsed by the standard library, so that no code of ours judges ours.
"""

import http.client
import socket

import msgspec


class Response(msgspec.Struct, frozen=True):
    """A whole response; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def request_bytes(path: str = "/", *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Return a request with `headers` ("name: value") as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "host: test", *headers]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_response(connection: socket.socket, method: str = "GET") -> Response:
    """Read one response. Raises http.client.RemoteDisconnected when the connection ends before it."""
    with http.client.HTTPResponse(connection, method=method) as response:
        response.begin()
        body = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, headers, body)


def exchange(connection: socket.socket, path: str = "/", *headers: str) -> Response:
    """Send a GET request and return the response."""
    connection.sendall(request_bytes(path, *headers))
    return read_response(connection)
