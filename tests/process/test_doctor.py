"""What `fastlb doctor` says of real apps: load that is uneven for a guide's reasons, a queue that overflows, files."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.waiting import scaled, wait_until

Findings = list[dict[str, Any]]


def diagnose(fastlb: Fastlb, *arguments: str, seconds: float = 0.1) -> Findings:
    """Return the findings of `fastlb doctor`, whose exit code must be that of the worst."""
    result = fastlb.cli("doctor", *arguments, "--json", "--for", str(seconds))
    assert result.stdout, result.stderr
    diagnosis = json.loads(result.stdout)
    severities = {one["severity"] for one in diagnosis["findings"]}
    assert result.returncode == (6 if "error" in severities else 5 if "warning" in severities else 0)
    return list(diagnosis["findings"])


def of_check(findings: Findings, check: str, app: str = "app") -> dict[str, Any]:
    """Return the one finding of this name about an app."""
    [found] = [one for one in findings if one["check"] == check and one["app"] == app]
    return found


@pytest.mark.parametrize(
    ("options", "clients", "meaning"),
    [
        ((), 1, "Few connections are kept for long: 1 connection had "),
        (("--balance", "ip-hash"), 8, "8 of 8 connections come from 127.0.0.1, as behind a proxy"),
    ],
)
def test_uneven_load_is_explained(fastlb: Fastlb, options: Sequence[str], clients: int, meaning: str) -> None:
    app = fastlb.start("asgi_probe:app", "-w", "3", *options)
    with LoadProcess(Plan(address=app.address, path="/plain", clients=clients, keep_alive=True)) as load:
        load.wait_for(clients)

        def explained() -> dict[str, Any]:
            found = of_check(diagnose(fastlb, "app", seconds=0.5), "spread of load")
            return found if found["severity"] == "warning" else {}

        found = wait_until(explained, "doctor has seen enough", timeout=30)
    assert meaning in found["meaning"]
    assert "least-connections" in found["mend"]
    assert len(found["measured"].partition("CPU ")[2].partition(";")[0].split(", ")) == 3


def test_app_that_is_well_and_one_whose_socket_is_open_to_others(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app")
    findings = diagnose(fastlb)
    checks = ("state", "version", "sockets", "nofile", "accept queue")
    assert [of_check(findings, check)["severity"] for check in checks] == ["ok"] * len(checks)
    (fastlb.home / "apps/app/control.sock").chmod(0o666)
    fastlb.home.chmod(0o720)
    findings = diagnose(fastlb)
    assert of_check(findings, "sockets")["severity"] == "error"
    assert of_check(findings, "home", app="")["severity"] == "error"
    fastlb.home.chmod(0o700)


def test_app_of_another_container_is_not_said_to_be_down(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app")
    within = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    if not shutil.which("unshare") or subprocess.run([*within, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    command = [*within, sys.executable, "-m", "fastlb", "doctor", "app", "--json", "--for", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, env=fastlb.env, timeout=scaled(60))
    state = of_check(json.loads(done.stdout)["findings"], "state")
    assert "it runs in another container" in state["measured"]
    assert (state["severity"], "is not known" in state["meaning"]) == ("warning", True)


def test_queue_that_overflows_is_found(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--max-connections", "1", "--backlog", "1", "--timeout-keep-alive", "600")
    with ExitStack() as clients:
        for _ in range(6):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(app.address)

        def full() -> dict[str, Any]:
            found = of_check(diagnose(fastlb, "app"), "accept queue")
            return found if found["severity"] == "error" and " 0 were dropped" not in found["measured"] else {}

        found = wait_until(full, "doctor has seen the queue overflow", timeout=20)
    assert " of 1 wait, " in found["measured"]
    assert "fastlb scale app max" in found["mend"]


def test_port_of_a_stopped_app_is_taken(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--bind", "127.0.0.1:0")
    port = app.port
    app.ok("stop")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        fastlb.cli("set", "app", f"bind=127.0.0.1:{taken}")
        found = of_check(diagnose(fastlb, "app"), "port")
    assert f"port {taken} is taken by" in found["measured"]
    assert port != taken


def test_text_says_what_was_measured_and_what_mends_it(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app")
    (fastlb.home / "apps/app/control.sock").chmod(0o666)
    result = fastlb.cli("doctor", "app", "--for", "0.1")
    assert result.returncode == 6
    text = result.stdout
    assert text.startswith("error: app sockets: ")
    assert f"    mend: chmod 600 {fastlb.home}/apps/app/control.sock\n" in text
    assert "\nok: app state: online\n" in text
    quiet = fastlb.cli("doctor", "app", "--for", "0.1", "--quiet").stdout
    assert "mend: chmod 600" in quiet
    assert "ok: " not in quiet
