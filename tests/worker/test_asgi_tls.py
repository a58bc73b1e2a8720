"""TLS ends in the worker; whatever happens in a handshake, connections are counted right."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_exchange import exchange
from tests.support.tls import certificate, client_context
from tests.support.worker_process import serving_worker
from tests.worker.test_asgi_serving import HELLO, SHOW_SCOPE

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


def tls_settings(loop: str) -> dict[str, Any]:
    """Return the settings of a worker that speaks TLS."""
    return {
        "loop": loop,
        "ssl_certfile": str(certificate().certificate),
        "ssl_keyfile": str(certificate().key),
    }


@LOOPS
def test_worker_speaks_tls(tmp_path: Path, loop: str) -> None:
    with serving_worker(tmp_path, SHOW_SCOPE, **tls_settings(loop)) as worker:
        with client_context().wrap_socket(worker.connect(), server_hostname="test") as client:
            for _ in range(3):
                scope = json.loads(exchange(client).body)
                assert scope["scheme"] == "https"
                assert scope["client"] == list(client.getsockname())
                assert scope["server"] == list(worker.listeners[0].address)
        worker.wait_closed()
        assert worker.counters()["requests"] == 3


@LOOPS
@pytest.mark.parametrize("first_bytes", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b""])
def test_failed_handshakes_are_counted_as_closed(tmp_path: Path, loop: str, first_bytes: bytes) -> None:
    with serving_worker(tmp_path, HELLO, **tls_settings(loop)) as worker:
        for _ in range(5):
            with worker.connect() as client:
                client.sendall(first_bytes)
                client.shutdown(socket.SHUT_WR)
                while client.recv(1000):
                    pass
        worker.wait_closed()
        assert "Traceback" not in worker.read_output()
        with client_context().wrap_socket(worker.connect(), server_hostname="test") as client:
            assert exchange(client).body == b"hello"


@LOOPS
def test_drain_does_not_wait_for_a_silent_handshake(tmp_path: Path, loop: str) -> None:
    with (
        serving_worker(tmp_path, HELLO, timeout_keep_alive=0.2, **tls_settings(loop)) as worker,
        worker.connect(),
    ):
        worker.drain()
        assert worker.wait_exit() == 0
