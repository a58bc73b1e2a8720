"""Unmodified apps on frameworks, and every way to listen: all are answered, by every worker."""

import json
import socket
import ssl
from pathlib import Path

import pytest
from websockets.sync.client import connect as connect_websocket

from tests.support.client import get
from tests.support.fastlb_process import App, Fastlb, address_of
from tests.support.node_clients import https_get, run_client, tls_variables
from tests.support.node_driver import (
    free_port,
    start_node,
    start_where_it_asks,
    variables,
    wait_for_answers_of,
)
from tests.support.node_packages import APPS
from tests.support.tls import client_context
from tests.support.waiting import scaled, wait_until

# A free worker may not be skipped because this machine was slow for 5 ms.
PATIENT = ("--handover-timeout", "5")
CONNECTIONS = 8


def assert_every_worker_answers(app: App) -> None:
    assert wait_for_answers_of(app.address) == set(app.worker_pids)


@pytest.mark.parametrize("script", ["http.js", "esm.mjs", "cjs.cjs", "self_disconnect.js"])
def test_plain_app(fastlb: Fastlb, script: str) -> None:
    assert_every_worker_answers(start_node(fastlb, script, *PATIENT))


@pytest.mark.parametrize("script", ["express.js", "fastify.js", "koa.js", "ws.js", "socketio.js"])
def test_framework(fastlb: Fastlb, framework_apps: Path, script: str) -> None:
    assert_every_worker_answers(start_node(fastlb, framework_apps / script, *PATIENT))


def test_workers_are_numbered_as_under_pm2(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", *PATIENT)
    seen: set[str] = set()

    def both_have_answered() -> bool:
        seen.add(get(app.address).json()["NODE_APP_INSTANCE"])
        return seen == {"0", "1"}

    wait_until(both_have_answered, "both answer")


def test_typescript_by_tsx(fastlb: Fastlb, framework_apps: Path) -> None:
    options = ("--interpreter", "tsx", "--cwd", str(framework_apps), *PATIENT)
    app = start_node(fastlb, framework_apps / "typescript.ts", *options)
    assert get(app.address).json()["language"] == "TypeScript"
    assert_every_worker_answers(app)


def test_client_is_seen_with_its_own_address(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js")
    assert get(app.address, "/remote", source="127.0.0.7").json()["address"] == "127.0.0.7"


def test_websocket_echoes(fastlb: Fastlb, framework_apps: Path) -> None:
    app = start_node(fastlb, framework_apps / "ws.js", *PATIENT)
    pids: set[int] = set()

    def both_have_echoed() -> bool:
        with connect_websocket(f"ws://127.0.0.1:{app.port}/") as websocket:
            pids.add(json.loads(websocket.recv())["pid"])
            websocket.send("hello")
            assert websocket.recv() == "hello"
            websocket.send(b"\0\1")
            assert websocket.recv() == b"\0\1"
        return pids == set(app.worker_pids)

    wait_until(both_have_echoed, "both echo", timeout=10)


def test_socketio_by_websocket(fastlb: Fastlb, framework_apps: Path) -> None:
    app = start_node(fastlb, framework_apps / "socketio.js", *PATIENT)
    url = f"http://127.0.0.1:{app.port}"
    pids = run_client(framework_apps / "socketio_client.js", url, "websocket", str(CONNECTIONS))
    assert set(pids) == set(app.worker_pids)


def test_socketio_by_long_polling_stays_with_its_worker(fastlb: Fastlb, framework_apps: Path) -> None:
    """Each poll may be a new connection, and only the worker that has the session can answer it."""
    app = start_node(fastlb, framework_apps / "socketio.js", "--balance", "ip-hash")
    url = f"http://127.0.0.1:{app.port}"
    pids = run_client(framework_apps / "socketio_client.js", url, "polling", str(CONNECTIONS))
    assert len(pids) == CONNECTIONS
    assert len(set(pids)) == 1
    assert set(pids) <= set(app.worker_pids)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_tls_session_of_one_worker_is_resumed_by_the_other(fastlb: Fastlb, version: ssl.TLSVersion) -> None:
    app = start_node(fastlb, "https.js", *variables(tls_variables()), *PATIENT)
    context = client_context()
    context.minimum_version = context.maximum_version = version
    first, session = https_get(app.address, context, None)
    assert not first["resumed"]
    pids: set[int] = set()

    def both_have_resumed() -> bool:
        answer = https_get(app.address, context, session)[0]
        assert answer["resumed"]
        pids.add(answer["pid"])
        return pids == set(app.worker_pids)

    wait_until(both_have_resumed, "both resume it", timeout=10)


def test_http2_without_tls(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "h2c.js", *PATIENT)
    pids = run_client(APPS / "h2c_client.js", f"http://127.0.0.1:{app.port}", str(CONNECTIONS))
    assert set(pids) == set(app.worker_pids)


def port_of(bind: str) -> int:
    """Return the port of a bind as the list shows it."""
    return int(bind.rpartition(":")[2])


def test_app_listens_where_it_asks_to(fastlb: Fastlb) -> None:
    port = free_port()
    app = start_where_it_asks(fastlb, APPS / "http.js", *variables({"PORT": port}), *PATIENT)
    assert app.address == ("127.0.0.1", port)
    assert_every_worker_answers(app)


def test_fastify_on_every_address_of_localhost(fastlb: Fastlb, framework_apps: Path) -> None:
    port = free_port()
    asked = variables({"PORT": port, "HOST": "localhost"})
    app = start_where_it_asks(fastlb, framework_apps / "fastify.js", *asked, *PATIENT)
    for bind in app.binds:
        assert port_of(bind) == port
        wait_for_answers_of(address_of(bind))


def test_two_ports(fastlb: Fastlb) -> None:
    ports = {"PORT": free_port(), "ADMIN_PORT": free_port()}
    app = start_where_it_asks(fastlb, APPS / "two_ports.js", *variables(ports), *PATIENT)
    assert sorted(map(port_of, app.binds)) == sorted(ports.values())
    for name, port in ports.items():
        assert get(("127.0.0.1", port)).json()["server"] == name
        assert wait_for_answers_of(("127.0.0.1", port)) == set(app.worker_pids)


def test_port_0_is_the_same_port_in_every_worker(fastlb: Fastlb) -> None:
    app = start_where_it_asks(fastlb, APPS / "port_zero.js", *PATIENT)
    told = [get(address_of(bind)).json()["ports"] for bind in app.binds for _ in range(CONNECTIONS)]
    assert all(ports == told[0] for ports in told)
    assert sorted(told[0]) == sorted(map(port_of, app.binds))
    assert len(set(told[0])) == 2
    for bind in app.binds:
        assert wait_for_answers_of(address_of(bind)) == set(app.worker_pids)


def test_unix_socket_has_the_mode_that_the_app_asks_for_and_goes_with_it(fastlb: Fastlb) -> None:
    path = fastlb.directory / "app.sock"
    app = start_where_it_asks(fastlb, APPS / "unix_path.js", *variables({"SOCKET_PATH": path}), *PATIENT)
    assert app.address == str(path)
    assert wait_for_answers_of(str(path)) == set(app.worker_pids)
    assert path.stat().st_mode & 0o666 == 0o666
    app.ok("stop")
    assert not path.exists()


def test_datagrams_are_answered(fastlb: Fastlb) -> None:
    """The workers share the socket itself: which of them reads a datagram is the kernel's choice."""
    ports = {"PORT": free_port(), "UDP_PORT": free_port(socket.SOCK_DGRAM)}
    app = start_where_it_asks(fastlb, APPS / "udp.js", *variables(ports), *PATIENT)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(scaled(5))
        client.connect(("127.0.0.1", ports["UDP_PORT"]))
        for number in range(CONNECTIONS):
            client.send(str(number).encode())
            answer = json.loads(client.recv(65536))
            assert answer["message"] == str(number)
            assert answer["pid"] in app.worker_pids
    assert wait_for_answers_of(("127.0.0.1", ports["PORT"])) == set(app.worker_pids)


def test_app_that_listens_again_is_answered_again(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "relisten.js", *PATIENT)
    assert get(app.address, "/relisten").json()["listens"] == 1

    def has_listened_again() -> bool:
        return any(get(app.address).json()["listens"] == 2 for _ in range(CONNECTIONS))

    wait_until(has_listened_again, "the worker listens again", timeout=10)
    assert_every_worker_answers(app)
