"""Owns one request's run through the app and what PEP 3333 asks of a server meanwhile.

Runs in an app thread of a worker process, apart from `abandon`. What it produces goes to the event loop: a
small response whole, at the end; a longer one through an Outbox, as it comes; a file as a descriptor. It
never touches a socket, and never waits for a client (an Outbox that is full even on disk excepted).
"""

import functools
import logging
import os
from collections.abc import Iterable, Sized
from time import monotonic_ns
from types import TracebackType
from typing import Any

from .body_spool import BodyNotStored, BodySpool
from .environ import Environ
from .file_wrapper import FileRange, FileWrapper
from .outbox import SLICE_BYTES, ClientGone, Outbox
from .response_head import ResponseHead
from .service import Service

logger = logging.getLogger("fastlb.worker")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
# Smaller files are read in the app's thread and sent together with the head.
SMALL_FILE_BYTES = 64 * 1024
LAST_CHUNK = b"0\r\n\r\n"


class Exchange:
    """One request and its response.

    Attributes:
        environ: the app's; it may be changed by the app.
        keep_alive: the connection may serve another request. Final when the head is made.
        code: status code, 0 before there is one.
        body_bytes: how much of a body was produced.
        output: the whole response, or its head when `file` is the body; empty when it went through `outbox`.
        outbox: what was produced and not sent; None while nothing was streamed.
        file: a file that is sent after `output`.
        app_done: set by the event loop when the app is finished with the request.
        failed: the app raised.
        broken: the response ended too early: the connection must not look as if it were complete.
        until_close: the end of the connection is the only end that the response has.
    """

    # Defaults are the class's: a request sets only what differs.
    code = 0
    body_bytes = 0
    output = b""
    outbox: Outbox | None = None
    file: FileRange | None = None
    app_done = False
    failed = False
    broken = False
    until_close = False
    client_gone = False
    _head: ResponseHead | None = None
    _begun = False
    _complete = False
    _chunked = False
    _bodiless = False
    _excess_reported = False
    _left = -1

    def __init__(self, service: Service, connection: Any, environ: Environ, keep_alive: bool) -> None:
        """Prepare the run of `environ` for `connection` (its on_output and on_app_done are called)."""
        self.environ = environ
        self.keep_alive = keep_alive
        self.began_ns = monotonic_ns()
        self._service = service
        self._connection = connection
        # The app may put something else in the place of these.
        self._input = environ["wsgi.input"]
        self._is_head = environ["REQUEST_METHOD"] == "HEAD"
        self._is_http10 = environ["SERVER_PROTOCOL"] == "HTTP/1.0"

    def run(self) -> None:
        """Call the app and tell the connection when it is done. Raises nothing."""
        try:
            if not self.client_gone:
                self._open_input()
                self._call_app()
        except ClientGone:
            self.broken = True
        except BodyNotStored as error:
            logger.error("%s: a request body could not be stored: %s", self._title(), error)
            self._answer_failure("507 Insufficient Storage")
        except BaseException as error:  # noqa: BLE001 - SystemExit too ends one request, no more
            self._on_error(error)
        self._input.close()
        self._service.threads.post(self._connection.on_app_done, self)

    def abandon(self) -> None:
        """Give up a request whose client has left: the app is not called, or stops where it next sends. Event loop."""
        self.client_gone = True
        self.free_response()

    def discard(self) -> None:
        """Give up a request that will never run. Event loop."""
        self._input.close()

    def free_response(self) -> None:
        """Free what holds the response. Event loop."""
        if self.outbox is not None:
            self.outbox.close()
        if self.file is not None:
            self.file.close()

    def response_header(self, name: str) -> str | None:
        """Return the header `name` of the app's response, whatever its case; None: it has none."""
        lines = self._head.text.split("\r\n")[1:] if self._head is not None else []
        fields = (line.partition(": ") for line in lines)
        return next((value for key, _, value in fields if key.lower() == name.lower()), None)

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Any:
        """PEP 3333's start_response; returns write().

        Raises:
            AssertionError: called twice without exc_info.
            TypeError, ValueError: status or headers that may not be sent.
            The exception of exc_info, when the head has been sent already.
        """
        if exc_info:
            try:
                if self._begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no cycle through the traceback's frames
        elif self._head is not None:
            raise AssertionError("start_response was called twice without exc_info")
        self._head = ResponseHead(status, headers)
        return self.write

    def write(self, data: bytes) -> None:
        """PEP 3333's write(): send `data` now. Raises ClientGone when there is nobody to read it."""
        self._send(data)

    def _open_input(self) -> None:
        """Wait for the disk, if need be, to have all of the body. Raises BodyNotStored."""
        if isinstance(self._input, BodySpool):
            self._input = self.environ["wsgi.input"] = self._input.open()

    def _call_app(self) -> None:
        result = self._service.app(self.environ, self.start_response)
        try:
            if type(result) is list or type(result) is tuple:
                self._send_whole(result)
            elif type(result) is FileWrapper and not self._begun:
                self._send_file(result)
            else:
                self._send_each(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _send_whole(self, chunks: list[bytes] | tuple[bytes, ...]) -> None:
        """Send a body that is there as a whole, so that its length is known."""
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if type(body) is not bytes:
            _require_bytes(body)
        if self._begun or len(body) > SLICE_BYTES:
            self._stream(body, len(body))
            self._finish()
            return
        head = self._begin(len(body))
        self.output = head + self._clip(body) if not self._bodiless else head
        self._finish_quietly()

    def _send_each(self, chunks: Iterable[bytes]) -> None:
        is_single = isinstance(chunks, Sized) and len(chunks) == 1
        for data in chunks:
            self._send(data, is_single)
            if self._bodiless:
                break  # the head is out, and nothing else is wanted
        self._finish()

    def _send_file(self, wrapper: FileWrapper) -> None:
        measured = wrapper.measure()
        if measured is None:
            self._send_each(wrapper)
            return
        fd, offset, end = measured
        size = end - offset
        if size <= SMALL_FILE_BYTES:
            self._send_whole([os.pread(fd, size, offset)])
            return
        self.output = self._begin(size)
        if not self._bodiless:
            size = min(size, self._left)
            self._left -= size
            self.body_bytes = size
            self.file = FileRange(os.dup(fd), offset, offset + size)
        self._finish_quietly()

    def _send(self, data: bytes, is_whole: bool = False) -> None:
        if not isinstance(data, bytes):
            _require_bytes(data)
        if data:
            self._stream(data, len(data) if is_whole else None)
        elif self._head is None:
            self._require_head()

    def _stream(self, data: bytes, known_length: int | None) -> None:
        """Send a part of the body as soon as the client takes it, before it the head if it is not out."""
        if self.client_gone:
            raise ClientGone("the client has closed the connection")
        head = b"" if self._begun else self._begin(known_length)
        if not self._bodiless:
            data = self._clip(data)
            head += b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data
        if head:
            self._put(head)

    def _put(self, data: bytes) -> None:
        if self.outbox is None:
            threads, connection = self._service.threads, self._connection
            self.outbox = Outbox(functools.partial(threads.post, connection.on_output, self))
            if self.client_gone:
                self.outbox.close()
        self.outbox.put(data)

    def _clip(self, data: bytes) -> bytes:
        """Return what Content-Length leaves room for, and count it."""
        if self._left < 0:
            self.body_bytes += len(data)
            return data
        if len(data) > self._left:
            if not self._excess_reported:
                self._excess_reported = True
                logger.error("%s: the app produced more than its Content-Length; cut", self._title())
            data = data[: self._left]
        self.body_bytes += len(data)
        self._left -= len(data)
        return data

    def _require_head(self) -> ResponseHead:
        if self._head is None:
            raise AssertionError("the app produced a body before it called start_response")
        return self._head

    def _begin(self, known_length: int | None) -> bytes:
        """Return the head, which decides how the end of the body will show. `known_length`: of it all."""
        head = self._require_head()
        text = head.text + self._service.own_lines(head.has_server, head.has_date)
        self._bodiless = self._is_head or head.has_no_body
        if head.content_length >= 0:
            self._left = head.content_length
        elif self._bodiless:
            pass
        elif known_length is not None:
            self._left = known_length
            text += f"\r\nContent-Length: {known_length}"
        elif self._is_http10:
            self.until_close = True
        else:
            self._chunked = True
            text += "\r\nTransfer-Encoding: chunked"
        self.code = head.code
        self._begun = True
        return (text + self._connection_line(head)).encode("latin-1")

    def _connection_line(self, head: ResponseHead) -> str:
        if head.close or self.until_close or self._service.draining or not self._service.keep_alive_timeout:
            self.keep_alive = False
        if not self.keep_alive:
            return "\r\nConnection: close\r\n\r\n"
        return "\r\nConnection: keep-alive\r\n\r\n" if self._is_http10 else "\r\n\r\n"

    def _finish(self) -> None:
        """The app has produced everything, in pieces or nothing at all."""
        if not self._begun:
            self.output = self._begin(0)
        elif self._chunked and not self._bodiless:
            self._put(LAST_CHUNK)
        self._finish_quietly()

    def _finish_quietly(self) -> None:
        self._complete = True
        if self._left > 0 and not self._bodiless:
            logger.error(
                "%s: the app produced %d bytes less than its Content-Length", self._title(), self._left
            )
            self.keep_alive = False

    def _on_error(self, error: BaseException) -> None:
        self.failed = True
        logger.error("%s: exception in the app", self._title(), exc_info=error)
        if self._complete:
            return
        if self._begun:
            self.broken = True
            return
        self._answer_failure("500 Internal Server Error")

    def _answer_failure(self, status: str) -> None:
        self.failed = True
        body = f"{status[4:]}\n".encode()
        self._head = ResponseHead(status, [("Content-Type", "text/plain; charset=utf-8")])
        head = self._begin(len(body))
        self.output = head if self._bodiless else head + body
        self.body_bytes = 0 if self._bodiless else len(body)

    def _title(self) -> str:
        return f"{self.environ.get('REQUEST_METHOD')} {self.environ.get('RAW_URI')!r}"


def _require_bytes(data: object) -> None:
    if not isinstance(data, bytes):
        raise TypeError(f"the app must produce bytes, not {type(data).__name__}")
