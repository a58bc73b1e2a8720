"""Owns the access log lines of an ASGI worker whose format is given; without one uvicorn writes its own. Runs in ASGI
workers, around the app.

A line is written when the last part of a response is sent, or when the app gives up before.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from time import monotonic_ns
from typing import Any

from ..access_log_format import Line, compile_access_log_format

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

logger = logging.getLogger("uvicorn.access")
ERROR_BODY_BYTES = len("Internal Server Error")  # what uvicorn answers for an app that failed


class AccessLog:
    """The app, with a line for each HTTP request that is answered. `text` as in `--access-log-format`."""

    def __init__(self, app: Any, text: str) -> None:
        self._app = app
        self._line = compile_access_log_format(text)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> Any:
        """Serve one scope."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        response = Response(scope, send, self._line)
        try:
            return await self._app(scope, receive, response.send)
        except Exception:
            response.fail()
            raise
        finally:
            response.log()


class Response:
    """What the app answers to one request: passed on, and counted."""

    status = body_bytes = duration_ns = 0
    is_logged = False

    def __init__(self, scope: Message, send: Send, line: Line) -> None:
        self._scope = scope
        self._send = send
        self._line = line
        self._headers: Iterable[tuple[bytes, bytes]] = ()
        self._began_ns = monotonic_ns()

    async def send(self, message: Message) -> None:
        """Send a message of the app's."""
        await self._send(message)
        if message["type"] == "http.response.start":
            self.status, self._headers = message["status"], message.get("headers", ())
        elif message["type"] == "http.response.body":
            self.body_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.log()

    def fail(self) -> None:
        """Note that the app raised: it is answered in its place, if it has not begun to answer."""
        if not self.status:
            self.status, self.body_bytes = 500, ERROR_BODY_BYTES

    def log(self) -> None:
        """Write the line, once, if there is an answer."""
        if not self.is_logged and self.status:
            self.is_logged = True
            self.duration_ns = monotonic_ns() - self._began_ns
            if self.method == "HEAD":
                self.body_bytes = 0
            logger.info("%s", self._line(self))

    @property
    def client(self) -> str:
        """Address of the client, as the app sees it."""
        return (self._scope["client"] or ("",))[0]

    @property
    def method(self) -> str:
        """The request's method."""
        return str(self._scope["method"])

    @property
    def target(self) -> str:
        """Path and query as the client sent them: `root_path` was put in front by us."""
        scope = self._scope
        path = scope["raw_path"].decode("latin-1").removeprefix(scope["root_path"])
        query = scope["query_string"].decode("latin-1")
        return f"{path}?{query}" if query else path

    @property
    def protocol(self) -> str:
        """HTTP/1.1 or HTTP/1.0."""
        return f"HTTP/{self._scope['http_version']}"

    def request_header(self, name: str) -> str | None:
        """As in AnsweredRequest."""
        return _header(self._scope["headers"], name)

    def response_header(self, name: str) -> str | None:
        """As in AnsweredRequest."""
        return _header(self._headers, name)

    def variable(self, name: str) -> str | None:
        """As in AnsweredRequest: of the process, as a scope has no variables."""
        return os.environ.get(name)


def _header(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    wanted = name.lower().encode("latin-1", "replace")
    return next((value.decode("latin-1") for key, value in headers if key.lower() == wanted), None)
