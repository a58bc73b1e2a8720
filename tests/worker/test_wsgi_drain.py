"""How a WSGI worker ends: quietly when drained, after the running requests when told to stop."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw_http import RawClient, get, request
from tests.support.waiting import wait_until
from tests.support.worker_process import Listener
from tests.support.wsgi_probe import Probe, serving_probe


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    with serving_probe(tmp_path, timeout_keep_alive=0.5) as probe:
        yield probe


def test_unused_worker_ends_at_once(probe: Probe) -> None:
    probe.worker.drain()
    assert probe.worker.wait_exit() == 0


def test_connections_of_every_kind_are_answered_in_the_drain(tmp_path: Path) -> None:
    with serving_probe(tmp_path, threads=2, timeout_keep_alive=30.0) as probe:
        witness = probe.client()
        idle, silent = probe.client(get("/hello")), probe.client()
        partial = probe.client(request("POST", "/echo", "Content-Length: 4") + b"bo")
        idle.response()
        with probe.gate():
            running = probe.client(get("/wait"))
            probe.wait_note("waiting")
            listener = probe.worker.listeners[0]
            untaken = listener.connect()
            untaken.sendall(get("/hello"))
            probe.worker.hand_over([probe.worker.accept(listener)])
            probe.worker.drain()
            wait_until(lambda: says_close(witness), "the worker drains")
        witness.socket.close()
        for client, late in (
            (running, b""),
            (idle, get("/hello")),
            (silent, get("/hello")),
            (partial, b"dy"),
        ):
            with client:
                response = client.send(late).response()
                assert (response.status, response.header("connection")) == (200, "close")
                assert client.is_closed()
        assert untaken.recv(9) == b"HTTP/1.1 "
        untaken.close()
        assert probe.worker.wait_exit() == 0


def says_close(client: RawClient) -> bool:
    return client.send(get("/hello")).response().header("connection") == "close"


def test_idle_and_silent_connections_end_by_their_timeout_in_the_drain(probe: Probe) -> None:
    with probe.client(get("/hello")) as idle, probe.client() as silent:
        idle.response()
        probe.worker.drain()
        assert idle.is_closed()
        assert silent.is_closed()
        assert probe.worker.wait_exit() == 0


def test_end_of_the_app_waits_for_requests_but_not_for_clients_that_ask_nothing(tmp_path: Path) -> None:
    with serving_probe(tmp_path, threads=2, timeout_keep_alive=600.0) as probe:
        idle, silent = probe.client(get("/hello")), probe.client()
        partial = probe.client(request("POST", "/echo", "Content-Length: 4") + b"bo")
        idle.response()
        with probe.gate():
            running = probe.client(get("/wait"))
            probe.wait_note("waiting")
            probe.worker.end_app()
            assert idle.is_closed()
            assert silent.is_closed()
        for client, late in ((running, b""), (partial, b"dy")):
            with client:
                response = client.send(late).response()
                assert (response.status, response.header("connection")) == (200, "close")
                assert client.is_closed()
        assert probe.worker.wait_exit() == 0


def test_end_of_the_app_hurries_a_drain_that_has_begun(tmp_path: Path) -> None:
    with serving_probe(tmp_path, timeout_keep_alive=600.0) as probe, probe.client() as silent:
        witness = probe.client()
        probe.worker.drain()
        wait_until(lambda: says_close(witness), "the worker drains")
        probe.worker.end_app()
        assert silent.is_closed()
        assert probe.worker.wait_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_worker_after_the_running_requests(probe: Probe, number: signal.Signals) -> None:
    with probe.client(get("/hello")) as idle, probe.client() as silent, probe.client() as queued:
        idle.response()
        wait_until(lambda: probe.worker.counters()["taken"] == 3, "all are taken")
        with probe.gate():
            running = probe.client(get("/wait"))
            probe.wait_note("waiting")
            queued.send(get("/hello"))
            wait_until(lambda: probe.worker.counters()["requests"] == 3, "the second request waits")
            probe.worker.process.send_signal(number)
            assert idle.is_closed()
            assert silent.is_closed()
        for client in (running, queued):
            with client:
                assert client.response().header("connection") == "close"
        assert probe.worker.wait_exit() == 0


def test_second_signal_ends_the_worker_at_once(probe: Probe) -> None:
    os.mkfifo(probe.directory / "gate")  # nobody will open it
    with probe.client() as silent, probe.client(get("/wait")) as client:
        probe.wait_note("waiting")
        probe.worker.process.send_signal(signal.SIGTERM)
        assert silent.is_closed()
        probe.worker.process.send_signal(signal.SIGTERM)
        assert probe.worker.wait_exit() == 0
        assert client.is_closed()


def test_lost_supervisor_ends_the_worker_after_the_running_request(probe: Probe) -> None:
    with probe.gate():
        client = probe.client(get("/wait"))
        probe.wait_note("waiting")
        probe.worker.disappear()
    with client:
        assert client.response().body == b"hello"
    probe.worker.wait_exit()


def test_unix_socket(tmp_path: Path) -> None:
    listener = Listener(socket.AF_UNIX, str(tmp_path / "socket"))
    with serving_probe(tmp_path, [listener]) as probe:
        body = probe.ask(get("/environ")).body
        assert b'"SERVER_NAME": "localhost", "SERVER_PORT": "80", "REMOTE_ADDR": ""' in body
        assert b"REMOTE_PORT" not in body


def test_wildcard_listener_names_the_address_that_was_reached(tmp_path: Path) -> None:
    listener = Listener(address=("0.0.0.0", 0))
    with serving_probe(tmp_path, [listener]) as probe:
        assert b'"SERVER_NAME": "127.0.0.1"' in probe.ask(get("/environ")).body
