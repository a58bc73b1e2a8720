"""Workers are asked whether they are well: an ill one gets no connections, and is replaced; never all at a time."""

import socket
from collections import Counter
from pathlib import Path

import pytest

from tests.support.fastlb_process import APPS, App, Fastlb
from tests.support.node_driver import start_node
from tests.support.ports import free_port
from tests.support.programs import QUICK
from tests.support.tls import certificate
from tests.support.waiting import scaled, wait_until

OFTEN = ("--health-check-interval", "0.1s", "--health-check-grace-period", "0")
PATIENT = ("--health-check-failures", "1000")
# What a worker that has nothing to do needs at most for an answer, beside other tests.
PATIENCE = f"{scaled(0.6):g}s"
KINDS = ["python", "node"]


def start(fastlb: Fastlb, kind: str, health_file: Path, *options: str) -> App:
    options = ("--health-check", "/health", "--env", f"HEALTH_FILE={health_file}", *OFTEN, *options)
    if kind == "node":
        return start_node(fastlb, "healthy.js", "--settle", "0.1", *options)
    return fastlb.start("healthy:app", "--workers", "2", *options)


def statuses(app: App) -> list[str]:
    return [worker["status"] for worker in app.entry()["workers"]]


def pids(app: App) -> list[int]:
    return [worker["pid"] for worker in app.entry()["workers"]]


def answering(app: App, requests: int) -> Counter[int]:
    return Counter(app.get().json()["pid"] for _ in range(requests))


@pytest.mark.parametrize("kind", KINDS)
def test_ill_worker_gets_no_connections_until_it_is_well(fastlb: Fastlb, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "ill"
    app = start(fastlb, kind, file, *PATIENT)
    ill, well = app.worker_pids
    file.write_text("0")
    wait_until(lambda: statuses(app) == ["unhealthy", "online"], "one is ill")
    assert app.entry()["status"] == "degraded"
    assert set(answering(app, 6)) == {well}
    assert "worker 0 is ill: GET /health: answered 503" in app.ok("show").stdout
    file.unlink()
    wait_until(lambda: statuses(app) == ["online"] * 2, "it is well")
    wait_until(lambda: ill in answering(app, 2), "it gets connections again")
    assert app.entry()["restarts"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_worker_that_stays_ill_is_replaced(fastlb: Fastlb, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "ill"
    app = start(fastlb, kind, file, "--health-check-failures", "2")
    old = app.worker_pids
    file.write_text("1")
    wait_until(lambda: "worker_unhealthy" in app.log("supervisor"), "it is seen to be ill")
    wait_until(lambda: "replace_asked" in app.log("supervisor"), "its replacement is asked for")
    file.unlink()  # else its successor, which has its number, would not become ready
    wait_until(lambda: len(set(app.worker_pids) - set(old)) == 1 and len(app.worker_pids) == 2, "it is replaced", 20)
    assert app.worker_pids[0] == old[0]


@pytest.mark.parametrize("kind", KINDS)
def test_when_all_are_ill_they_go_on_serving_and_it_is_said(fastlb: Fastlb, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "ill"
    app = start(fastlb, kind, file, *PATIENT)
    file.write_text("all")
    wait_until(lambda: "health_panic" in app.log("supervisor"), "all are ill")
    wait_until(lambda: statuses(app) == ["unhealthy"] * 2, "it is shown")
    wait_until(lambda: len(answering(app, 2)) == 2, "both answer")
    file.write_text("0")
    wait_until(lambda: statuses(app) == ["unhealthy", "online"], "one is well")
    wait_until(lambda: "health_panic_over" in app.log("supervisor"), "that is said")
    wait_until(lambda: len(answering(app, 4)) == 1, "only the well one answers")


@pytest.mark.parametrize("kind", KINDS)
def test_reload_to_what_is_ill_changes_nothing(fastlb: Fastlb, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "ill"
    patience = scaled(3)
    app = start(fastlb, kind, file, "--health-check-interval", "60s", "--listen-timeout", f"{patience:g}s")
    old = pids(app)
    file.write_text("all")
    failed = fastlb.cli("reload", "app")
    assert failed.returncode == 1
    assert "did not pass its health check (GET /health: answered 503) within" in failed.stderr
    assert "nothing was changed" in failed.stderr
    assert pids(app) == old
    file.unlink()
    app.ok("reload")
    wait_until(lambda: not set(pids(app)) & set(old), "all are replaced")
    fastlb.allow_in_logs("Fatal Python error")  # where it waits


def test_health_checks_are_counted_nowhere(fastlb: Fastlb, tmp_path: Path) -> None:
    app = start(fastlb, "python", tmp_path / "ill")
    seen = app.entry()
    app.get()
    assert sum(worker["connections"] for worker in seen["workers"]) == 0
    wait_until(lambda: sum(worker["requests"] for worker in app.entry()["workers"]) == 1, "one request is counted")


def test_worker_that_does_not_answer_is_ill(fastlb: Fastlb, tmp_path: Path) -> None:
    app = start(fastlb, "python", tmp_path / "ill", *PATIENT, "--health-check-timeout", "0.3s")
    with socket.create_connection(("127.0.0.1", app.port)) as client:
        client.sendall(b"GET /block?3 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: "unhealthy" in statuses(app), "it is ill")
        assert "no answer within 0.3 s" in app.log("supervisor")
        assert app.get().status == 200
        wait_until(lambda: statuses(app) == ["online"] * 2, "it is well again", 10)


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_interval_alone_asks_whether_connections_are_taken(fastlb: Fastlb, target: str) -> None:
    options = ("--workers", "2", "--health-check-interval", "0.1s", "--health-check-timeout", PATIENCE, *PATIENT)
    app = fastlb.start(target, *options)
    wait_until(lambda: statuses(app) == ["online"] * 2, "both are well")
    assert "worker_unhealthy" not in app.log("supervisor")


def test_worker_with_all_threads_busy_is_busy_and_not_ill(fastlb: Fastlb) -> None:
    options = ("--workers", "2", "--health-check", "/", *OFTEN, "--health-check-timeout", PATIENCE)
    app = fastlb.start("wsgi_probe:app", *options)
    with socket.create_connection(("127.0.0.1", app.port)) as client:
        client.sendall(b"GET /sleep?%g HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % scaled(1.5))
        assert client.recv(64)
    assert "worker_unhealthy" not in app.log("supervisor")


def test_workers_that_speak_tls_are_asked_by_it(fastlb: Fastlb) -> None:
    options = ("--ssl-certfile", str(certificate().certificate), "--ssl-keyfile", str(certificate().key))
    app = fastlb.start("asgi_probe:app", "--health-check", "/", *OFTEN, *options)
    assert statuses(app) == ["online"]


def start_program(fastlb: Fastlb, *options: str) -> App:
    fastlb.ok("start", "--fork", str(APPS / "notifier.py"), "--name", "app", *QUICK, *OFTEN, *options)
    return fastlb.app()


def test_program_is_asked_on_its_own_port(fastlb: Fastlb) -> None:
    port = free_port()
    options = ("--health-check", "http://shop.test/health?a=b", "--health-check-text", "fine", "--env", f"PORT={port}")
    starting = fastlb.popen("start", "--fork", str(APPS / "notifier.py"), "--name", "app", *QUICK, *OFTEN, *options)
    wait_until(lambda: "begun" in fastlb.app().log("out"), "it runs", 20)
    app = fastlb.app()
    app.ok("send", f"listen {port}")
    _, errors = starting.communicate(timeout=scaled(60))
    assert starting.returncode == 0, errors
    app.ok("send", "answer 500")
    wait_until(lambda: "GET /health?a=b: answered 500" in app.log("supervisor"), "it is seen to be ill")
    wait_until(lambda: "replace_asked" in app.log("supervisor"), "it is to be replaced")


def test_command_is_asked(fastlb: Fastlb, tmp_path: Path) -> None:
    check = tmp_path / "check"
    check.write_text(f"#!/bin/sh\ntest ! -e {tmp_path}/ill.$FASTLB_WORKER_ID\n")
    check.chmod(0o755)
    app = start_program(fastlb, "--health-check", f"exec:{check}", "-w", "2", *PATIENT)
    (tmp_path / "ill.1").touch()
    wait_until(lambda: statuses(app) == ["online", "unhealthy"], "one is ill")
    assert f"{check}: exited with code 1" in app.log("supervisor")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--health-check", "/health"), "--health-check: it is not known where a process listens: PORT is not set"),
        (("--health-check", "/a b"), "--health-check: '/a b': a path has neither blanks"),
        (("--health-check-text", "x"), "--health-check-text: only an HTTP response has a text"),
        (("--health-check", "no-such-check --fast"), "--health-check: there is no program no-such-check on PATH"),
    ],
)
def test_check_that_cannot_be_is_refused(fastlb: Fastlb, options: tuple[str, ...], message: str) -> None:
    result = fastlb.cli("start", "--fork", str(APPS / "notifier.py"), "--name", "app", *options)
    assert result.returncode == 2
    assert message in result.stderr
