"""Clients that stop in the middle: each wait for a client ends, and a connection is left however far it came.

The connection's code runs in this process, on an event loop in a thread, because the real limit is a minute.
"""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import uvloop
from fastlb.lb.page import WorkerStatus, create_worker_page
from fastlb.worker.http.response import ServerLines
from fastlb.worker.timeout_wheel import TimeoutWheel
from fastlb.worker.wire import WorkerConfig
from fastlb.worker.wsgi.connection import WsgiConnection
from fastlb.worker.wsgi.crew import Crew
from fastlb.worker.wsgi.environ import WsgiApp, address_environ, worker_environ
from fastlb.worker.wsgi.exchange import WsgiService
from fastlb.worker.wsgi.request_environ import EnvironMaker

from tests.support.raw_http import CutShort, RawClient, get, request
from tests.support.waiting import scaled, wait_until
from tests.support.worker_config import worker_config

STALL_TIMEOUT = 0.2
WHOLE_BYTES = 32 * 1024 * 1024  # more than the kernel holds for a client
CONFIG = worker_config()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Small, large or endless."""
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/endless":
        return itertools.repeat(b"x" * 65536)
    return [b"x" * WHOLE_BYTES] if path == "/whole" else [b"hello"]


class Place:
    """A connection's place in the capacity: taken from its hand-over on."""

    def __init__(self) -> None:
        self.occupied = True

    def occupy(self) -> None:
        """Count as busy."""
        self.occupied = True

    def release(self) -> None:
        """Count as idle."""
        self.occupied = False

    def has_unread(self) -> bool:
        """Say that nothing is there yet, as when a client is slower than the hand-over."""
        return False

    def end_sending(self) -> None:
        """Leave the end of the connection to its close."""

    def peer_address(self) -> None:
        """Say that the client has no address."""

    def fileno(self) -> int:
        """Return no descriptor: only a connection that is reset is looked at."""
        return -1


class PlacedConnection(WsgiConnection):
    """A connection whose place can be looked at."""

    def __init__(self, service: WsgiService, maker: EnvironMaker) -> None:
        self.place = Place()
        super().__init__(service, self.place, maker)  # type: ignore[arg-type]  # what it asks of a HandedSocket


class LocalServer:
    """The connections of a worker without the worker."""

    connection_class = PlacedConnection

    def __init__(self, wsgi_app: WsgiApp, status: WorkerStatus, config: WorkerConfig = CONFIG) -> None:
        self.loop = uvloop.new_event_loop()
        self.status = status
        self.wheel = TimeoutWheel(self.loop)
        self.service = WsgiService(wsgi_app, self.loop, self.wheel, config, ServerLines("test"), status, None)
        self.service.threads = Crew(self.service, config.threads)
        self.service.stall_timeout = STALL_TIMEOUT
        self.service.threads.start()
        self.maker = EnvironMaker(address_environ(worker_environ(config, sys.stderr), None, False), None)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server = self.loop.run_until_complete(
            self.loop.create_server(self._create_connection, sock=self._listener)
        )
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def _create_connection(self) -> Any:
        return self.connection_class(self.service, self.maker)

    def client(self, sent: bytes) -> RawClient:
        """Return a client that has sent `sent`."""
        connection = socket.create_connection(self._listener.getsockname(), timeout=scaled(10))
        return RawClient(connection).send(sent)

    def close(self) -> None:
        """End every connection and the loop."""
        wait_until(lambda: not self.service.connections, "the connections are gone")
        self.service.threads.stop()
        self.service.body_writer.stop()
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(scaled(5))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(scaled(5))
        self.loop.close()

    async def _close(self) -> None:
        self._server.close()
        self.wheel.stop()


@pytest.fixture
def server() -> Iterator[LocalServer]:
    page_fd = create_worker_page()
    wakeup_fd = os.eventfd(0, os.EFD_NONBLOCK)
    local = LocalServer(app, WorkerStatus(page_fd, wakeup_fd))
    yield local
    local.close()
    os.close(page_fd)
    os.close(wakeup_fd)


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\r\nHo", b"G", request("POST", "/echo", "Content-Length: 9") + b"part"],
    ids=["in the headers", "in the method", "in the body"],
)
def test_request_that_stops_in_the_middle_is_answered_408(server: LocalServer, sent: bytes) -> None:
    with server.client(sent) as client:
        assert client.response().status == 408
        assert client.is_closed()


def test_second_request_that_stops_in_the_middle_is_answered_408(server: LocalServer) -> None:
    with server.client(get("/") + b"GET / HT") as client:
        assert client.response().status == 200
        assert client.response().status == 408
        assert client.is_closed()


def test_head_that_drips_is_not_waited_for_longer(server: LocalServer) -> None:
    with server.client(b"GET /") as client:
        client.socket.settimeout(STALL_TIMEOUT / 10)
        for _ in range(200):
            with contextlib.suppress(TimeoutError, OSError):
                client.send(b"x")
                if client.response().status == 408:
                    return
    pytest.fail("the connection was kept for as long as something came")


def test_silent_connection_is_closed_without_a_word(server: LocalServer) -> None:
    with server.client(b"") as client:
        assert client.is_closed()


def test_client_that_takes_nothing_of_its_response_is_disconnected(server: LocalServer) -> None:
    with server.client(get("/endless")) as client:
        wait_until(lambda: server.service.unfinished == 0, "the app is stopped")
        with pytest.raises(CutShort):
            client.response()


def test_client_that_takes_something_now_and_then_is_not(server: LocalServer) -> None:
    server.service.stall_timeout = scaled(0.5)  # within this time the test has to have its turn, whatever else runs
    with server.client(get("/whole")) as client:
        client.read_until(b"\r\n\r\n")
        connection = next(iter(server.service.connections))
        taken = 0
        for _ in range(3):
            looked_at = connection.deadline
            taken += len(client.read_exactly(WHOLE_BYTES // 8))
            wait_until(lambda: connection.deadline != looked_at, "the server has looked for progress")  # noqa: B023
        assert taken + len(client.read_exactly(WHOLE_BYTES - taken)) == WHOLE_BYTES


def test_refused_client_that_stays_is_disconnected_soon(server: LocalServer) -> None:
    """Also when its first request came at once: the limit of a silent newcomer does not come on top."""
    server.service.stall_timeout = 600.0
    with server.client(b"nonsense\r\n\r\n") as client:
        assert client.response().status == 400
        assert client.is_closed()
        wait_until(lambda: not server.service.connections, "the server has closed its side as well", timeout=10)


BODY_HEAD = request("POST", "/", "Content-Length: 4")
CHUNKED_HEAD = request("POST", "/", "Transfer-Encoding: chunked")
ANSWERED, IN_HEAD, IN_BODY = "answered", "in a head", "in a body"


# What a client sends, and how far each piece brings it.
WAYS: dict[str, list[tuple[bytes, str]]] = {
    "asks at once": [(get("/"), ANSWERED)],
    "stops in a head": [(b"GET /", IN_HEAD)],
    "stops in a body": [(BODY_HEAD, IN_BODY), (b"12", IN_BODY)],
    "asks late": [(BODY_HEAD, IN_BODY), (b"1234", ANSWERED)],
    "sends nonsense": [(b"nonsense\r\n\r\n", ANSWERED)],
    "sends no chunk": [(CHUNKED_HEAD, IN_BODY), (b"nonsense", ANSWERED)],
    "asks again in pieces": [(get("/"), ANSWERED), (b"GET /", IN_HEAD), (b" HTTP/1.1\r\nHost: a\r\n\r\n", ANSWERED)],
    "goes on with a body": [(get("/"), ANSWERED), (BODY_HEAD, IN_BODY)],
    "sends a request and a half": [(get("/") + b"GET /", IN_HEAD)],
    "sends a request and a head": [(get("/") + BODY_HEAD, IN_BODY)],
    "wants no more": [(get("/", "Connection: close"), ANSWERED)],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_client_that_leaves_is_forgotten_however_far_it_came(server: LocalServer, way: list[tuple[bytes, str]]) -> None:
    server.service.stall_timeout = 600.0
    with server.client(b"") as client:
        wait_until(lambda: server.service.connections, "the client is connected")
        (connection,) = server.service.connections
        for sent, reached in way:
            client.send(sent)
            if reached == ANSWERED:
                client.response()
                continue
            at = (True, reached == IN_HEAD)
            wait_until(lambda: (connection.begun, connection.in_head) == at, f"the client is {reached}")  # noqa: B023
    wait_until(lambda: not server.service.connections, "it is forgotten")


def test_handshake_occupies_nothing(server: LocalServer) -> None:
    config = worker_config(ssl_certfile="any")
    service = WsgiService(app, server.loop, server.wheel, config, ServerLines(""), server.status, None)
    connection = PlacedConnection(service, server.maker)
    assert not connection.place.occupied


def places(server: LocalServer) -> list[bool]:
    return [connection.place.occupied for connection in server.service.connections]


SLOW = {"silent": b"", "part of a head": b"GET / HTTP/1.1\r\nHo", "head without its body": BODY_HEAD}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
def test_connection_without_a_whole_request_occupies_nothing(server: LocalServer, sent: bytes) -> None:
    server.service.stall_timeout = 600.0
    with server.client(sent), server.client(sent):
        wait_until(lambda: places(server) == [False, False], "no place is occupied")


def test_after_a_slow_client_nobody_slow_is_waited_for(server: LocalServer) -> None:
    server.service.stall_timeout = 600.0
    with server.client(b""):
        wait_until(lambda: server.service.impatient_until, "the first one was waited for in vain")
        server.service.impatient_until = server.loop.time() + 600.0
        with server.client(b"GET /") as client:
            wait_until(lambda: len(server.service.connections) == 2, "the second one is connected")
            wait_until(lambda: places(server) == [False, False], "no place is occupied")
            assert [connection.grace is None for connection in server.service.connections].count(True) == 1
            assert client.send(b" HTTP/1.1\r\nHost: a\r\n\r\n").response().status == 200
