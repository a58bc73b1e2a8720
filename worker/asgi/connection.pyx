"""Owns what makes HTTP requests into ASGI scopes, and gives connections to websockets. Runs in ASGI workers.

On the event loop's thread. A scope is what uvicorn's users know. Never asks
the kernel about a connection.
"""

import logging

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t
from libc.string cimport memchr

from fastlb.worker.asgi.exchange cimport AsgiService, Exchange
from fastlb.worker.asgi.extended_exchange cimport ExtendedExchange
from fastlb.worker.http.connection cimport HttpConnection

from uvicorn.protocols.http.flow_control import service_unavailable

cdef object logger = logging.getLogger("uvicorn.error")
# What the messages of an app may be besides those of the core (asgi.readthedocs.io, Extensions).
cdef dict EXTENSIONS = {"http.response.early_hint": {}, "http.response.pathsend": {}, "http.response.trailers": {}}


cdef class AsgiConnection(HttpConnection):
    """One connection of an ASGI worker.

    Args:
        service: shared by all connections, an AsgiService.
        handed: the connection as it was taken.
        server: our address, as in a scope.
    """

    cdef AsgiService asgi
    cdef Exchange exchange        # whose response is not complete; None: there is none
    cdef object client
    cdef object server
    cdef str scheme

    def __init__(self, AsgiService service not None, handed, server):
        HttpConnection.__init__(self, service, handed)
        self.asgi = service
        self.client = handed.peer_address()
        self.server = server
        self.scheme = "https" if service.secure else "http"

    def connection_made(self, transport):
        """Wait for the first request."""
        HttpConnection.connection_made(self, transport)
        # Idle until a request begins: an ASGI worker is busy with requests, not with connections.
        self.handed.release()

    cdef bint takes_upgrade(self) except -1:
        return self.asgi.takes_websockets and self.upgrade.lower() == b"websocket"

    cdef int on_head(self) except? -1:
        cdef AsgiService service = self.asgi
        cdef Exchange exchange
        if self.upgrades:
            return 0
        exchange = ExtendedExchange()
        exchange.service = service
        exchange.connection = self
        exchange.half_closed = self.half_closed
        exchange.is_head = self.method() == "HEAD"
        exchange.is_http10 = self.is_http10
        exchange.keep_alive = self.keep_alive
        exchange.scope = self.scope()
        exchange.target = self.target
        exchange.app = service.app if not service.limit_concurrency else self.app_below_limit()
        self.exchange = exchange
        self.answering = True
        return 0

    cdef int on_fed(self) except -1:
        exchange = self.exchange
        # A first step that runs now would find what the response before it has set in its context.
        return exchange.run(not self.in_response) if exchange is not None and not exchange.began_ns else 0

    cdef int on_body(self, const char *data, size_t length) except? -1:
        # A body whose response is complete is read to its end, and thrown away.
        return self.exchange.add_body(data[:length]) if self.exchange is not None else 0

    cdef int on_complete(self) except? -1:
        return self.exchange.end_body() if self.exchange is not None else 0

    cdef int end_response(self, bint keep_alive) except -1:
        self.exchange = None
        return HttpConnection.end_response(self, keep_alive)

    cdef int on_lost(self) except -1:
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.disconnect()
        return 0

    cdef int on_half_closed(self) except -1:
        if self.exchange is not None:
            self.exchange.half_closed = True
            self.exchange.wake_readers()
        return 0

    cdef int on_writable(self) except -1:
        return self.exchange.wake_writers() if self.exchange is not None else 0

    cdef int refuse_current(self, int code) except -1:
        cdef Exchange exchange = self.exchange
        self.exchange = None
        self.answering = False
        exchange.disconnect()
        return self.close_now() if exchange.begun else HttpConnection.send_refusal(self, code)

    cdef int send_refusal(self, int code) except -1:
        if code == 408 and self.begun and not self.in_head:
            return self.close_now()  # it has the response to the request whose body is thrown away
        return HttpConnection.send_refusal(self, code)

    cdef object app_below_limit(self):
        """Return the app, or what says 503 in its place when there are too many connections or requests."""
        cdef AsgiService service = self.asgi
        cdef Py_ssize_t limit = service.limit_concurrency
        if len(service.connections) < limit and len(service) < limit:
            return service.app
        logger.warning("Exceeded concurrency limit.")
        return service_unavailable

    cdef dict scope(self):
        """Return the scope of the request whose head came last; the headers are the scope's from here on."""
        cdef AsgiService service = self.asgi
        cdef list headers = self.headers
        self.headers = None
        path = decode_path(self.path)
        return {
            "type": "http",
            "asgi": {"version": service.asgi_version, "spec_version": "2.3"},
            "http_version": "1.0" if self.is_http10 else "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": service.root_path,
            "headers": headers,
            "state": service.app_state.copy(),
            "method": self.method(),
            "path": service.root_path + path if service.root_path else path,
            "raw_path": service.raw_root_path + self.path if service.root_path else self.path,
            "query_string": self.query,
            "extensions": EXTENSIONS.copy(),
        }

    cdef int take_over(self) except -1:
        """Leave the connection to a websocket protocol of uvicorn's, which is given the request once more.

        What came behind it is dropped: a client waits for the answer before it says more (RFC 6455 4.1).
        """
        cdef bytes lines = b"".join([b"%b: %b\r\n" % (name, value) for name, value in self.headers])
        cdef bytes request = b"GET %b HTTP/1.1\r\n%b\r\n" % (self.target, lines)
        upgraded = UpgradedConnection(self.asgi, self.handed, request)
        self.headers = None
        if self.plain is None:
            upgraded.connection_made(self.leave())
            return 0
        # Websockets want a whole transport of the event loop's, which makes one in its next turn.
        upgraded.unsent = self.plain.detach()
        self.asgi.connections.add(upgraded)
        self.leave()
        self.asgi.go_on(self.handed, upgraded)
        return 0


class UpgradedConnection:
    """The protocol of a connection that is given to a websocket protocol of uvicorn's, until its transport is there.

    Args:
        service: an AsgiService.
        handed: the connection.
        request: that asks for the upgrade.
    Attributes:
        unsent: of responses before it, what is to be sent first.
    """

    def __init__(self, AsgiService service not None, handed, bytes request not None):
        self.unsent = b""
        self._is_shut = False
        self._service = service
        self._handed = handed
        self._request = request

    def connection_made(self, transport):
        """Let the websocket protocol begin."""
        cdef AsgiService service = self._service
        service.connections.discard(self)
        protocol = service.config.ws_protocol_class(
            config=service.config, server_state=service.server_state, app_state=service.app_state
        )
        protocol.connection_lost = LostWebSocket(protocol.connection_lost, self._handed, service.secure)
        protocol.connection_made(transport)
        transport.set_protocol(protocol)
        if self.unsent:
            transport.write(self.unsent)
        protocol.data_received(self._request)
        if self._is_shut:
            protocol.shutdown()

    def connection_lost(self, exc):
        """Forget a connection that ends before a websocket protocol has it."""
        cdef AsgiService service = self._service
        service.connections.discard(self)

    def shutdown(self):
        """Tell the websocket protocol, when it is there, that the server stops."""
        self._is_shut = True


class LostWebSocket:
    """In the place of a websocket protocol's connection_lost(): ends our direction before the descriptor is closed."""

    def __init__(self, lost, handed, is_secure):
        self._lost = lost
        self._handed = handed
        self._is_secure = is_secure

    def __call__(self, exc):
        """End the connection."""
        if not self._is_secure:
            self._handed.end_sending()
        self._lost(exc)


cdef inline int hex_value(uint8_t c) noexcept nogil:
    """The value of a hexadecimal digit; -1: it is none."""
    if c'0' <= c <= c'9':
        return c - c'0'
    c |= 0x20
    return c - c'a' + 10 if c'a' <= c <= c'f' else -1


cdef str decode_path(bytes path):
    """Return a path without its percent encoding; what is no UTF-8 then becomes U+FFFD."""
    cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(path)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(path), at = 0, end = 0
    cdef bytes decoded
    cdef char *copy
    if memchr(text, c'%', length) == NULL:
        return path.decode("ascii")
    decoded = PyBytes_FromStringAndSize(NULL, length)
    copy = PyBytes_AS_STRING(decoded)
    while at < length:
        if text[at] == c'%' and at + 2 < length and hex_value(text[at + 1]) >= 0 and hex_value(text[at + 2]) >= 0:
            copy[end] = <char>(hex_value(text[at + 1]) << 4 | hex_value(text[at + 2]))
            at += 3
        else:
            copy[end] = <char>text[at]
            at += 1
        end += 1
    return PyUnicode_DecodeUTF8(copy, end, "replace")
