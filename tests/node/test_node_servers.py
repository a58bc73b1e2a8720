"""When a Node worker serves, and how long its servers live."""

import os
import signal
import socket
from pathlib import Path

from tests.support.client import get
from tests.support.fastlb_process import Fastlb, describe
from tests.support.node_driver import free_port, start_where_it_asks, variables
from tests.support.node_packages import APPS
from tests.support.waiting import scaled, wait_until

MANY = 80  # more than a dispatcher knows listeners


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=scaled(2)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_app_may_open_and_close_more_servers_than_there_are_listeners(fastlb: Fastlb) -> None:
    port = free_port()
    app = start_where_it_asks(fastlb, APPS / "many_servers.js", *variables({"PORT": port, "SERVERS": MANY}))

    def answer() -> dict[str, object]:
        return dict(get(("127.0.0.1", port)).json())

    wait_until(lambda: answer() == {"opened": MANY, "failures": []}, "all were opened", timeout=20)
    wait_until(lambda: app.binds == [f"127.0.0.1:{port}"], "the closed ones are released", timeout=10)


def test_reload_to_code_that_only_gets_to_its_datagrams_changes_nothing(fastlb: Fastlb, tmp_path: Path) -> None:
    port, broken = free_port(), tmp_path / "broken"
    options = variables({"PORT": port, "BROKEN": broken})
    app = start_where_it_asks(fastlb, APPS / "datagrams_first.js", *options, "--listen-timeout", f"{scaled(2):g}")
    assert f"127.0.0.1:{port}" in app.binds
    before = app.worker_pids
    broken.touch()
    result = fastlb.cli("reload", "app")
    assert result.returncode == 1, describe(result)
    assert "nothing was changed" in result.stderr
    assert app.worker_pids == before
    assert get(("127.0.0.1", port)).json() == "served"


def test_port_is_free_as_soon_as_the_supervisor_has_died(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    fastlb.allow_left_sockets()
    port = free_port()
    app = start_where_it_asks(fastlb, APPS / "http.js", *variables({"PORT": port}))
    with socket.create_connection(("127.0.0.1", port), timeout=scaled(5)) as client:
        client.sendall(f"GET /until?file={gate} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        wait_until(lambda: fastlb.requests_begun_and_ended()[0] == 1, "it is being answered")
        os.kill(app.supervisor_pid, signal.SIGKILL)
        wait_until(lambda: is_refused(port), "clients are refused")
        gate.touch()
        assert b"200 OK" in client.recv(4096), "what was begun is finished"
