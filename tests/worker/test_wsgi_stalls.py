"""Clients that stop in the middle: each wait for a client ends, and each state of a connection is left.

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
from fastlb.worker.wsgi.connection import Connection
from fastlb.worker.wsgi.connection_state import TRANSITIONS, ConnectionState, arrival_state
from fastlb.worker.wsgi.environ import connection_environ, worker_environ
from fastlb.worker.wsgi.service import Service, WsgiApp

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


Transition = tuple[ConnectionState, ConnectionState]


class WatchedConnection(Connection):
    """A connection whose changes of state are noted."""

    __slots__ = ("_noted", "place")

    def __init__(self, service: Service, noted: list[Transition], base: dict[str, Any]) -> None:
        self._noted = noted
        self.place = Place()
        super().__init__(service, self.place, base)

    def _enter(self, state: ConnectionState, timeout: float = 0.0) -> None:
        before = getattr(self, "_state", None)
        if before is not None:
            self._noted.append((before, state))
        super()._enter(state, timeout)


class LocalServer:
    """The connections of a worker without the worker."""

    connection_class = WatchedConnection

    def __init__(self, wsgi_app: WsgiApp, status: WorkerStatus) -> None:
        self.loop = uvloop.new_event_loop()
        self.service = Service(wsgi_app, CONFIG, self.loop, status)
        self.service.stall_timeout = STALL_TIMEOUT
        self.service.threads.start()
        self.transitions: list[Transition] = []
        self._base = connection_environ(worker_environ(CONFIG, sys.stderr), None, None, False)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server = self.loop.run_until_complete(
            self.loop.create_server(self._create_connection, sock=self._listener)
        )
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def _create_connection(self) -> Connection:
        return self.connection_class(self.service, self.transitions, self._base)

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
        self.service.wheel.stop()


@pytest.fixture
def server() -> Iterator[LocalServer]:
    page_fd = create_worker_page()
    wakeup_fd = os.eventfd(0, os.EFD_NONBLOCK)
    local = LocalServer(app, WorkerStatus(page_fd, wakeup_fd))
    yield local
    local.close()
    assert [(before, after) for before, after in local.transitions if after not in TRANSITIONS[before]] == []
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


NEW, HEAD, BODY, IDLE, ANSWERING, LINGERING, CLOSING, CLOSED = ConnectionState
BODY_HEAD = request("POST", "/", "Content-Length: 4")
CHUNKED_HEAD = request("POST", "/", "Transfer-Encoding: chunked")


# What a client sends, each after the server has changed to the state beside it, then the last transition.
WAYS: dict[str, list[tuple[bytes, ConnectionState]]] = {
    "asks at once": [(get("/"), ANSWERING)],
    "is late": [(b"", HEAD), (get("/"), ANSWERING)],
    "is late with a body": [(b"", HEAD), (BODY_HEAD, BODY), (b"12", BODY), (b"34", ANSWERING)],
    "sends nonsense at once": [(b"nonsense\r\n\r\n", LINGERING)],
    "sends nonsense late": [(b"", HEAD), (b"nonsense\r\n\r\n", LINGERING)],
    "sends no chunk": [(b"", HEAD), (CHUNKED_HEAD, BODY), (b"nonsense", LINGERING)],
    "asks again": [(get("/"), IDLE), (get("/"), ANSWERING)],
    "asks again in pieces": [(get("/"), IDLE), (b"GET /", HEAD), (b" HTTP/1.1\r\nHost: a\r\n\r\n", ANSWERING)],
    "goes on with a body": [(get("/"), IDLE), (BODY_HEAD, BODY), (b"1234", ANSWERING)],
    "goes on with nonsense": [(get("/"), IDLE), (b"nonsense\r\n\r\n", LINGERING)],
    "asks twice at once": [(get("/") + get("/"), ANSWERING)],
    "sends a request and a half": [(get("/") + b"GET /", HEAD)],
    "sends a request and a head": [(get("/") + BODY_HEAD, BODY)],
    "sends a request and nonsense": [(get("/") + b"nonsense\r\n\r\n", LINGERING)],
    "wants no more": [(get("/", "Connection: close"), CLOSING)],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_client_that_leaves_is_forgotten_in_every_state(
    server: LocalServer, way: list[tuple[bytes, ConnectionState]]
) -> None:
    with server.client(b"") as client:
        noted = 0  # a client that says nothing is late before we have looked
        for sent, reached in way:
            client.send(sent)
            wait_until(lambda: reached in [after for _, after in server.transitions[noted:]], f"it is {reached.name}")  # noqa: B023
            noted = len(server.transitions)
    wait_until(lambda: server.transitions[-1][1] is CLOSED, "it is closed")


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS) == set(ConnectionState)
    reached, unseen = set[ConnectionState](), {NEW}
    while unseen:
        reached |= unseen
        unseen = {after for before in unseen for after in TRANSITIONS[before]} - reached
    assert reached == set(ConnectionState)
    assert all(CLOSED in followers for state, followers in TRANSITIONS.items() if state is not CLOSED)
    assert (TRANSITIONS[CLOSED], arrival_state(in_head=True), arrival_state(in_head=False)) == (frozenset(), HEAD, BODY)


def test_handshake_occupies_nothing(server: LocalServer) -> None:
    server.service.secure = True
    connection = WatchedConnection(server.service, [], {})
    assert not connection.place.occupied


def places(server: LocalServer) -> list[bool]:
    return [connection.place.occupied for connection in server.service.connections]  # type: ignore[attr-defined]


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
            assert [connection._grace is None for connection in server.service.connections].count(True) == 1
            assert client.send(b" HTTP/1.1\r\nHost: a\r\n\r\n").response().status == 200
