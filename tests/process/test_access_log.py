"""The access log and its settings, from the command line to the log file."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess, run_load
from tests.support.raw_http import RawClient, get
from tests.support.waiting import scaled, wait_until

CHANGING = """
import logging, sys

def app(environ, start_response):
    if environ["PATH_INFO"] == "/change":
        handler = logging.StreamHandler(sys.stdout)
        handler.emit = lambda record: print("APP", record.args[4], flush=True)
        logging.getLogger("uvicorn.access").handlers = [handler]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_format_turns_the_log_on_and_is_kept(fastlb: Fastlb, target: str) -> None:
    app = fastlb.start(target, "--access-log-format", '%(m)s %(U)s %(s)s %(D)s "%(a)s"')
    app.get("/plain")
    wait_until(lambda: "GET /plain 200 " in app.log("out"), "the line is there")
    assert app.show()["settings"]["access_log"] is True
    app.ok("stop")
    fastlb.ok("start", "app", "--no-access-log", "--settle", "0.1")
    fastlb.app().get("/plain")
    fastlb.app().ok("stop")
    assert fastlb.app().log("out").count("GET /plain 200 ") == 1


def test_bad_format_is_refused_before_anything_starts(fastlb: Fastlb) -> None:
    result = fastlb.try_start("wsgi_probe:app", "--access-log-format", "%(x)s")
    assert result.returncode == 2
    assert "--access-log-format: %(x)s is no atom: there are %(h)s, %(l)s" in result.stderr
    assert not (fastlb.home / "apps").exists() or not list((fastlb.home / "apps").iterdir())


def test_name_of_gunicorns_option_is_answered(fastlb: Fastlb) -> None:
    result = fastlb.try_start("wsgi_probe:app", "--access-logformat", "%(h)s")
    assert result.returncode == 2
    assert "did you mean --access-log-format %(h)s?" in result.stderr


def test_log_config_that_is_not_there_is_a_mistake_of_the_caller(fastlb: Fastlb, tmp_path: Path) -> None:
    result = fastlb.try_start("wsgi_probe:app", "--log-config", str(tmp_path / "none.json"))
    assert result.returncode == 2
    assert f"--log-config {tmp_path}/none.json: No such file or directory" in result.stderr


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_every_request_has_its_line_through_a_reload_and_the_end(fastlb: Fastlb, tmp_path: Path, target: str) -> None:
    path = tmp_path / "access.log"
    app = fastlb.start(target, "--workers", "2", "--access-file", str(path))
    with LoadProcess(Plan(address=app.address, path="/plain", keep_alive=True)) as load:
        load.wait_for(200)
        app.ok("reload")
        load.wait_for(200)
    assert load.report.failed == 0
    for _ in range(10):  # nothing is waited for after the last one
        app.get("/plain")
    app.ok("stop")
    lines = path.read_text().splitlines()
    assert len(lines) == load.report.ok + 10
    assert all(re.fullmatch(r'127\.0\.0\.1:\d+ - "GET /plain HTTP/1\.1" 200', line) for line in lines)


def test_supervisor_that_hangs_holds_up_no_request(fastlb: Fastlb) -> None:
    padding = "x" * 400
    app = fastlb.start("wsgi_probe:app", "--workers", "1", "--access-log")
    supervisor, address = app.supervisor_pid, app.address
    os.kill(supervisor, signal.SIGSTOP)
    try:
        report = run_load(Plan(address=address, path=f"/plain?{padding}", keep_alive=True, requests=1000))
    finally:
        os.kill(supervisor, signal.SIGCONT)
    assert (report.ok, report.failed) == (1000, 0)  # a pipe has room for a sixth of their lines
    wait_until(lambda: app.log("out").count(padding) == 1000, "all lines are there")


def test_logger_that_an_app_changes_is_used(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "changing.py").write_text(CHANGING)
    app = fastlb.start("changing:app", "--app-dir", str(tmp_path), "--workers", "1", "--access-log")
    with RawClient(socket.create_connection(("127.0.0.1", app.port), timeout=scaled(10))) as client:
        client.send(get("/before")).response()
        wait_until(lambda: "/before" in app.log("out"), "its line is there")  # it is made after the response
        for path in ("/change", "/after"):
            client.send(get(path)).response()
    wait_until(lambda: app.log("out").count("APP 200") == 2, "the handler of the app has both lines")
    lines = [line for line in app.log("out").splitlines() if "HTTP" in line or "APP" in line]
    shown = [re.sub(r"^127.0.0.1:\d+", "C", line) for line in lines]
    assert shown == ['C - "GET /before HTTP/1.1" 200', "APP 200", "APP 200"]


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_worker_that_is_killed_loses_no_more_than_the_lines_of_a_turn(fastlb: Fastlb, target: str) -> None:
    app = fastlb.start(target, "--workers", "1", "--access-log")
    [pid] = app.worker_pids
    with RawClient(socket.create_connection(("127.0.0.1", app.port), timeout=scaled(10))) as client:
        for _ in range(20):
            client.send(get("/plain")).response()
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: app.worker_pids not in ([], [pid]), "another worker is there")
    app.ok("stop")  # all that was written is in the file then
    assert app.log("out").count("GET /plain") in (19, 20)  # the last answer is sent within its turn
