"""Owns the reading of requests from one connection: bytes in, complete requests or one refusal out.

Runs in the event loop's thread of a worker process. httptools (llhttp, strict) parses; the rules that it
leaves to its user are here: Host, framing, limits, Expect, forwarded headers. Writes nothing: the
connection does.
"""

from io import BytesIO
from typing import Any, Protocol

import httptools

from ..other_protocols import find_other_protocol
from .body_spool import BodyWriter
from .environ import Environ, add_target, header_key, is_host
from .request_body import RequestBody
from .trusted_proxies import TrustedProxies

# A header that comes more often than this in one request, in sum over all names, is refused.
DUPLICATES_LIMIT = 100
# Have one value: joined, two would be one that nobody has sent, and the first or the last is what others see of them.
SINGLE = frozenset({"CONTENT_TYPE", "HTTP_AUTHORIZATION"})
METHODS = {method.encode(): method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}


class Refused(Exception):
    """A request gets no app but an error response of `code`, and the connection ends."""

    def __init__(self, code: int, reason: str = "") -> None:
        """`reason` is for the log."""
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class RequestSink(Protocol):
    """What gets the requests that were read."""

    def on_request(self, environ: Environ, keep_alive: bool) -> None:
        """A request is complete, with its body as `wsgi.input`."""

    def on_body_wanted(self) -> None:
        """The client waits for a 100 Continue before it sends the body."""

    def on_body_stored(self) -> None:
        """The reader does not hold back any more, or the disk has failed: `store_error`."""


class RequestRules:
    """What the reader of every connection must know.

    Attributes:
        head_limit, body_limit: bytes; a body_limit of 0 is none.
        proxies: whose forwarded headers are believed; None: nobody's.
        body_writer: writes large bodies to disk.
    """

    __slots__ = ("body_limit", "body_writer", "head_limit", "proxies")

    def __init__(
        self, head_limit: int, body_limit: int, proxies: TrustedProxies | None, body_writer: BodyWriter
    ) -> None:
        self.body_writer = body_writer
        self.head_limit = head_limit
        self.body_limit = body_limit
        self.proxies = proxies


class RequestReader:
    """Reads one connection's requests, one after another.

    Attributes:
        begun: a part of a request that is not complete has arrived.
        in_head: that part ends in the request's head.
        ended: no request comes after the last one.
    """

    __slots__ = (
        "_base",
        "_bodiless_bytes",
        "_body",
        "_duplicates",
        "_environ",
        "_head_spans",
        "_parser",
        "_proxies",
        "_replay",
        "_rules",
        "_sink",
        "_target",
        "begun",
        "ended",
        "in_head",
    )  # fmt: skip

    def __init__(self, rules: RequestRules, base: Environ, sink: RequestSink) -> None:
        """Give requests with an environ made from `base` to `sink`."""
        self._rules = rules
        self._base = base
        self._sink = sink
        self._parser: Any = httptools.HttpRequestParser(self)
        proxies = rules.proxies
        self._proxies = proxies if proxies is not None and proxies.trusts_peer(base["REMOTE_ADDR"]) else None
        self._environ: Environ = {}
        self._body: RequestBody | None = None
        self._target = b""
        self._bodiless_bytes = 0  # of the request, since the last byte of its body
        self._head_spans = False  # its head began in an earlier piece
        self._duplicates = 0
        self.in_head = False
        self._replay = False
        self.begun = False
        self.ended = False

    def feed(self, data: bytes) -> None:
        """Read `data`, calling the sink for what is complete.

        Raises:
            Refused: it cannot be answered by the app; nothing more may be fed.
        """
        limit = self._rules.head_limit
        if len(data) > limit:
            # A head or trailer that ends within the piece in which it began is then never too long.
            for start in range(0, len(data), limit):
                self.feed(data[start : start + limit])
            return
        if (at := find_other_protocol(data)) >= 0:
            self._parse(data[:at])
            if not self.begun and not self.ended:
                raise Refused(400, "not HTTP")
            data = data[at:]
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        self._bodiless_bytes += len(data)
        if self.in_head:
            self._head_spans = True
        while data and not self.ended:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._ignore_upgrade()
            except httptools.HttpParserCallbackError as error:
                raise (error.__context__ or error) from None
            except httptools.HttpParserError as error:
                if not self.ended:
                    raise Refused(400, str(error)) from None
        # Head, trailers, lines of chunks: what comes without a body is bounded, whatever it is.
        if self.begun and self._bodiless_bytes > self._rules.head_limit:
            raise Refused(431)

    @property
    def holds_back(self) -> bool:
        """Whether nothing more should be fed for now: the disk does not keep up. The sink is told when it does."""
        return self._body is not None and self._body.is_behind

    @property
    def store_error(self) -> OSError | None:
        """Why the body that is being read could not be stored."""
        return self._body.error if self._body is not None else None

    def close(self) -> None:
        """Drop what is not complete; nothing may be fed any more."""
        self.ended = True
        self.begun = False
        self._parser = None  # it refers back to us
        if self._body is not None:
            self._body.discard()
            self._body = None

    def on_message_begin(self) -> None:
        """Begin a request (the parser calls it at its first byte)."""
        if self._replay:
            return
        self._environ = self._base.copy()
        self._target = b""
        self._head_spans = False
        self.in_head = self.begun = True

    def on_url(self, url: bytes) -> None:
        """Keep a piece of the request target (the parser calls it)."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header (the parser calls it). Trailers come here too, and are dropped: no environ has them."""
        if not self.in_head:
            return
        key = header_key(name)
        if not key:
            return
        text = value.decode("latin-1").rstrip(" \t")
        environ = self._environ
        if key in environ:
            text = self._join(key, environ[key], text)
        environ[key] = text

    def on_headers_complete(self) -> None:
        """Check a complete head (the parser calls it)."""
        if self._replay:
            self._replay = False
            return
        self.in_head = False
        environ, parser = self._environ, self._parser
        if self._head_spans and self._head_bytes() > self._rules.head_limit:
            raise Refused(431)
        method = parser.get_method()
        environ["REQUEST_METHOD"] = METHODS.get(method) or method.decode()
        self._check_version_and_host(environ, parser.get_http_version())
        if method == b"CONNECT":
            raise Refused(405, "CONNECT is for proxies")
        try:
            add_target(environ, self._target.decode("latin-1"))
        except ValueError as error:
            raise Refused(400, str(error)) from None
        if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            self._check_body(environ)
        if "HTTP_EXPECT" in environ and environ["SERVER_PROTOCOL"] == "HTTP/1.1":
            self._check_expectation(environ)
        if self._proxies is not None:
            self._believe(self._proxies, environ)

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body (the parser calls it)."""
        self._bodiless_bytes = 0
        if self._body is None:
            self._body = RequestBody(self._rules.body_writer, self._sink.on_body_stored)
        self._body.append(data)
        if self._rules.body_limit and self._body.size > self._rules.body_limit:
            raise Refused(413)

    def on_message_complete(self) -> None:
        """Give a complete request to the sink (the parser calls it; after the head when that asks for an upgrade)."""
        parser, environ, body = self._parser, self._environ, self._body
        if parser.should_upgrade() and _has_body(environ):
            return
        if "HTTP_TRANSFER_ENCODING" in environ:
            # The framing was ours to undo. Apps read as much as CONTENT_LENGTH says.
            del environ["HTTP_TRANSFER_ENCODING"]
            environ["CONTENT_LENGTH"] = str(body.size if body is not None else 0)
        environ["wsgi.input"] = body.source() if body is not None else BytesIO()
        keep_alive = parser.should_keep_alive()
        self._body = None
        self._bodiless_bytes = self._duplicates = 0
        self.begun = False
        self.ended = not keep_alive
        self._sink.on_request(environ, keep_alive)

    def _ignore_upgrade(self) -> None:
        """Go on with HTTP/1.1 after a request that asked for another protocol, as RFC 9110 7.8 allows.

        The parser takes the body of such a request for the other protocol: a fresh one is told the framing.
        """
        if self.begun:
            environ = self._environ
            if "HTTP_TRANSFER_ENCODING" in environ:
                framing = b"Transfer-Encoding: chunked"
            else:
                framing = b"Content-Length: " + environ["CONTENT_LENGTH"].encode()
            connection = b"" if self._parser.should_keep_alive() else b"Connection: close\r\n"
            self._parser = httptools.HttpRequestParser(self)
            self._replay = True
            self._parser.feed_data(b"POST * HTTP/1.1\r\n" + connection + framing + b"\r\n\r\n")

    def _head_bytes(self) -> int:
        """Return about how long the head was, from what is left of it."""
        headers = ((key, value) for key, value in self._environ.items() if key not in self._base)
        return len(self._target) + sum(len(key) + len(value) for key, value in headers)

    def _join(self, key: str, first: str, second: str) -> str:
        """Return the value of a header that came again (RFC 9110 5.3; cookies: RFC 6265 5.4)."""
        if key == "HTTP_HOST":
            raise Refused(400, "more than one Host")
        if key in SINGLE:
            if first != second:
                raise Refused(400, f"two values of {key}")
            return first
        self._duplicates += 1
        if self._duplicates > DUPLICATES_LIMIT:
            raise Refused(431, "too many repeated headers")
        return f"{first}; {second}" if key == "HTTP_COOKIE" else f"{first},{second}"

    def _check_version_and_host(self, environ: Environ, version: str) -> None:
        host = environ.get("HTTP_HOST")
        if version == "1.1":
            environ["SERVER_PROTOCOL"] = "HTTP/1.1"
            if host is None:
                raise Refused(400, "no Host")
        elif version == "1.0":
            environ["SERVER_PROTOCOL"] = "HTTP/1.0"
        else:
            raise Refused(505, f"HTTP/{version}")
        if host is not None and not is_host(host):
            raise Refused(400, f"Host: {host!r}")

    def _check_body(self, environ: Environ) -> None:
        coding = environ.get("HTTP_TRANSFER_ENCODING")
        if coding is None:
            if 0 < self._rules.body_limit < int(environ["CONTENT_LENGTH"]):
                raise Refused(413)
        elif environ["SERVER_PROTOCOL"] == "HTTP/1.0":
            raise Refused(400, "Transfer-Encoding in HTTP/1.0")
        elif coding.lower() != "chunked":
            raise Refused(501, f"Transfer-Encoding: {coding!r}")

    def _check_expectation(self, environ: Environ) -> None:
        if environ["HTTP_EXPECT"].lower() != "100-continue":
            raise Refused(417, f"Expect: {environ['HTTP_EXPECT']!r}")
        if _has_body(environ):
            self._sink.on_body_wanted()

    def _believe(self, proxies: TrustedProxies, environ: Environ) -> None:
        forwarded_proto = environ.get("HTTP_X_FORWARDED_PROTO")
        if forwarded_proto is not None and (scheme := proxies.scheme_of(forwarded_proto)):
            environ["wsgi.url_scheme"] = scheme
        forwarded_for = environ.get("HTTP_X_FORWARDED_FOR")
        if forwarded_for is not None and (client := proxies.client_of(forwarded_for)):
            environ["REMOTE_ADDR"] = client
            environ["REMOTE_PORT"] = "0"  # not told


def _has_body(environ: Environ) -> bool:
    return "HTTP_TRANSFER_ENCODING" in environ or environ.get("CONTENT_LENGTH", "0").strip("0") != ""
