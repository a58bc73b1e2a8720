"""Clients that stop in the middle: each wait for a client ends.

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
from fastlb.worker.wire import WorkerConfig
from fastlb.worker.wsgi.connection import Connection
from fastlb.worker.wsgi.environ import connection_environ, worker_environ
from fastlb.worker.wsgi.service import Service, WsgiApp

from tests.support.raw_http import CutShort, RawClient, get, request
from tests.support.waiting import scaled, wait_until

STALL_TIMEOUT = 0.2
WHOLE_BYTES = 32 * 1024 * 1024  # more than the kernel holds for a client
CONFIG = WorkerConfig(
    name="test",
    target="app:app",
    worker_id=0,
    generation=1,
    channel_fd=-1,
    page_fd=-1,
    wakeup_fd=-1,
    listeners=(),
)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Small, large or endless."""
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/endless":
        return itertools.repeat(b"x" * 65536)
    return [b"x" * WHOLE_BYTES] if path == "/whole" else [b"hello"]


class Place:
    """A connection's place in the capacity, counted for nobody."""

    def occupy(self) -> None:
        """Count as busy."""

    def release(self) -> None:
        """Count as idle."""


class LocalServer:
    """The connections of a worker without the worker."""

    def __init__(self, wsgi_app: WsgiApp, status: WorkerStatus) -> None:
        self.loop = uvloop.new_event_loop()
        self.service = Service(wsgi_app, CONFIG, self.loop, status)
        self.service.stall_timeout = STALL_TIMEOUT
        self.service.threads.start()
        self._base = connection_environ(worker_environ(CONFIG, sys.stderr), None, None, False)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server = self.loop.run_until_complete(
            self.loop.create_server(self._create_connection, sock=self._listener)
        )
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def _create_connection(self) -> Connection:
        return Connection(self.service, Place(), self._base)

    def client(self, sent: bytes) -> RawClient:
        """Return a client that has sent `sent`."""
        connection = socket.create_connection(self._listener.getsockname(), timeout=scaled(10))
        return RawClient(connection).send(sent)

    def close(self) -> None:
        """End every connection and the loop."""
        wait_until(lambda: not self.service.connections, "the connections are gone")
        self.service.threads.stop()
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
    with server.client(get("/whole")) as client:
        client.read_until(b"\r\n\r\n")
        connection = next(iter(server.service.connections))
        taken = 0
        for _ in range(3):
            looked_at = connection.deadline
            taken += len(client.read_exactly(WHOLE_BYTES // 8))
            wait_until(lambda: connection.deadline != looked_at, "the server has looked for progress")  # noqa: B023
        assert taken + len(client.read_exactly(WHOLE_BYTES - taken)) == WHOLE_BYTES
