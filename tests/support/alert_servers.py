"""Owns servers that are told of alerts: one of HTTP and one of SMTP that keep what they get, and one that misbehaves.

Runs in the test process, in threads. Each is a context, and nothing of it is left behind.
"""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from .tls import certificate

USER, PASSWORD = "ops", "p@ss/word: 7"
REFUSED = "nobody@example.org"


@dataclass
class Received:
    """What came: bodies of requests, or letters; and the heads of the requests.

    Attributes:
        status: that requests are answered.
        taken: bodies of those that were answered well.
    """

    address: tuple[str, int]
    bodies: list[Any] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    taken: list[Any] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.address[1]


@contextlib.contextmanager
def http_server(status: int = 200, location: str = "") -> Iterator[Received]:
    """Hold a server that answers every request with a status, and keeps its body."""
    received = Received(("", 0), status=status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.heads.append({**self.headers, "path": self.path})
            received.bodies.append(json.loads(body))
            answer = received.status
            received.taken += [json.loads(body)] if answer < 300 else []
            self.send_response(answer)
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.address = server.server_address[:2]  # type: ignore[assignment]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def misbehaving_server(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Hold a server that does something to every connection, which it closes then; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as taken:
        threads: list[threading.Thread] = []

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                behave(connection)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    taken.callback(end, connection)
                    threads.append(threading.Thread(target=serve, args=(connection,)))
                    threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            taken.close()
            for thread in threads:
                thread.join()


def end(connection: socket.socket) -> None:
    """End what a thread waits for."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Mailbox:
    """What aiosmtpd asks; names are its own."""

    def __init__(self, received: Received) -> None:
        self._received = received

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address == REFUSED:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self._received.bodies.append(envelope.content.decode())
        about = {"to": ",".join(envelope.rcpt_tos), "from": envelope.mail_from or ""}
        tls, user = str(session.ssl is not None), str(session.authenticated)
        self._received.heads.append(about | {"tls": tls, "authenticated": user})
        return "250 OK"


def _authenticate(_: SMTP, __: Session, ___: Envelope, ____: str, data: object) -> AuthResult:
    is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_right)


@contextlib.contextmanager
def smtp_server(*, tls: str = "", login: bool = False, host: str = "127.0.0.1") -> Iterator[Received]:
    """Hold a server that takes letters; `tls`: "", "starttls" or "smtps"; `login`: of USER with PASSWORD alone."""
    received = Received(("", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate().certificate, certificate().key)
    options: dict[str, Any] = {"authenticator": _authenticate, "auth_required": login}
    options |= {"auth_require_tls": tls == "starttls"}
    options |= {"tls_context": context, "require_starttls": True} if tls == "starttls" else {}
    options |= {"ssl_context": context} if tls == "smtps" else {}
    controller = Controller(_Mailbox(received), hostname=host, port=_free_port(), **options)
    controller.start()
    try:
        received.address = controller.hostname, controller.port
        yield received
    finally:
        controller.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
