"""`fastlb metrics --bind`: what Prometheus scrapes, over TCP and a unix socket, from its start to its end."""

import asyncio
import http.client
import signal
import socket
import subprocess
from pathlib import Path
from typing import IO, cast

import pytest
from fastlb.supervisor.metrics.server import MAX_CONNECTIONS, MAX_HEAD_BYTES, MetricsServer
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled


def answer(sock: socket.socket, method: str = "GET", path: str = "/metrics") -> http.client.HTTPResponse:
    """Ask on a connection of its own, and return the answer."""
    sock.settimeout(scaled(10))
    connection = http.client.HTTPConnection("localhost")
    connection.sock = sock
    connection.request(method, path, headers={"Connection": "close"})
    return connection.getresponse()


def begun(fastlb: Fastlb, bind: str) -> tuple[subprocess.Popen[str], str]:
    """Return the server and what it says of its address."""
    server = fastlb.popen("metrics", "--bind", bind)
    line = cast(IO[str], server.stderr).readline()
    assert line.startswith("metrics are served at "), line
    return server, line.split()[-1]


def end(server: subprocess.Popen[str]) -> None:
    """End it as a service manager does."""
    server.send_signal(signal.SIGTERM)
    out, error = server.communicate(timeout=scaled(20))
    assert (server.returncode, out, error) == (0, "", "")


def test_scrape_over_tcp(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app").ok("stop")
    server, url = begun(fastlb, "0")
    port = int(url.removeprefix("http://127.0.0.1:").removesuffix("/metrics"))

    def ask(method: str = "GET", path: str = "/metrics") -> tuple[int, str, str]:
        with socket.create_connection(("127.0.0.1", port), scaled(10)) as sock, answer(sock, method, path) as response:
            return response.status, response.headers["content-type"], response.read().decode()

    status, content_type, text = ask()
    assert (status, content_type.split(";")[0]) == (200, "application/openmetrics-text")
    names = {family.name for family in text_string_to_metric_families(text)}
    assert "fastlb_app_status" in names
    assert 'fastlb_app_status{app="app",fastlb_app_status="stopped"} 1.0' in text
    assert [ask("POST")[0], ask(path="/")[0], ask("HEAD")[0]] == [405, 404, 200]
    end(server)


def test_unix_socket_is_gone_at_the_end(fastlb: Fastlb) -> None:
    path = fastlb.directory / "metrics.sock"
    server, place = begun(fastlb, f"unix:{path}")
    assert Path(place.removeprefix("unix:")) == path
    assert path.stat().st_mode & 0o777 == 0o660
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        with answer(sock) as response:
            assert response.status == 200
    end(server)
    assert not path.exists()


@pytest.mark.parametrize(("bind", "code", "words"), [("fd:3", 2, "metrics are served on"), ("taken", 1, "is in use")])
def test_address_that_cannot_be_served_is_an_error(fastlb: Fastlb, bind: str, code: int, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = fastlb.cli("metrics", "--bind", str(taken.getsockname()[1]) if bind == "taken" else bind)
    assert result.returncode == code
    assert words in result.stderr


def test_supervisor_serves_its_own_app(fastlb: Fastlb) -> None:
    path = fastlb.directory / "app.sock"
    app = fastlb.start("asgi_probe:app", "--metrics-bind", f"unix:{path}")
    app.get("/plain")

    def names() -> set[str]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            with answer(sock) as response:
                assert response.status == 200
                return {family.name for family in text_string_to_metric_families(response.read().decode())}

    assert "fastlb_worker_requests" in names()
    app.ok("update")
    assert "fastlb_worker_requests" in names()  # of the successor, which listens there now
    app.ok("stop")
    assert not path.exists()


def test_address_of_an_app_that_is_taken_is_an_error_of_its_start(fastlb: Fastlb) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = fastlb.try_start("asgi_probe:app", "--metrics-bind", str(taken.getsockname()[1]))
    assert result.returncode == 1
    assert "is in use" in result.stderr
    assert "--metrics-bind" in result.stderr


GOOD_REQUEST = b"GET /metrics HTTP/1.1\r\n\r\n"
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def nothing() -> bytes:
    """Return what a home without apps has."""
    return b"# EOF\n"


@pytest.mark.parametrize(
    ("request_text", "status"),
    [(b"GET /metrics\r\n\r\n", 400), (b"\0\xff\r\n\r\n", 400), (b"GET /metrics?a=b HTTP/1.0\r\n\r\n", 200)],
)
def test_odd_requests(request_text: bytes, status: int) -> None:
    async def ask() -> bytes:
        server = MetricsServer(nothing)
        listener = socket.create_server(("127.0.0.1", 0))
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(request_text)
        answered = await asyncio.wait_for(reader.read(), scaled(10))
        writer.close()
        server.close()
        return answered

    assert asyncio.run(ask()).startswith(f"HTTP/1.1 {status} ".encode())


def test_head_that_is_too_long_costs_its_connection_alone() -> None:
    async def ask() -> bytes:
        server = MetricsServer(nothing)
        listener = socket.create_server(("127.0.0.1", 0))
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET /metrics HTTP/1.1\r\nx: " + b"y" * (2 * MAX_HEAD_BYTES))
        try:
            return await asyncio.wait_for(reader.read(), scaled(10))
        except ConnectionError:
            return b""
        finally:
            writer.close()
            server.close()

    assert asyncio.run(ask()) == b""


async def answered(client: Client, request_text: bytes = b"") -> bytes:
    """Ask, if there is anything to ask; return what comes until the server has closed."""
    reader, writer = client
    try:
        writer.write(request_text)
        return await asyncio.wait_for(reader.read(), scaled(10))
    finally:
        writer.close()


def test_no_more_clients_are_held_than_there_may_be() -> None:
    async def ask() -> list[bytes]:
        server, listener = MetricsServer(nothing), socket.create_server(("127.0.0.1", 0))
        await server.start(listener)
        silent = [await asyncio.open_connection(*listener.getsockname()) for _ in range(MAX_CONNECTIONS)]
        refused = await answered(await asyncio.open_connection(*listener.getsockname()))
        answers = [await answered(client, GOOD_REQUEST) for client in silent]
        after = await answered(await asyncio.open_connection(*listener.getsockname()), GOOD_REQUEST)
        server.close()
        return [refused, *answers, after]

    refused, *served = asyncio.run(ask())
    assert refused.startswith(b"HTTP/1.1 503 ")  # without having asked
    assert {answer.partition(b"\r\n")[0] for answer in served} == {b"HTTP/1.1 200 OK"}
