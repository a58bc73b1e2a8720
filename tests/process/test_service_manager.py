"""What `fastlb run` says to the service manager that runs it, as systemd does, and to whom else nobody speaks."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.fastlb_process import Fastlb
from tests.support.notify_listener import NotifyListener
from tests.support.waiting import scaled, wait_until

WATCHDOG_SECONDS = 1.0
RUN = ("run", "release:app", "--name", "app", "--bind", "127.0.0.1:0", "--workers", "1", "--settle", "0.1")
GOOD = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
"""


@pytest.fixture
def manager(fastlb: Fastlb) -> Iterator[NotifyListener]:
    with NotifyListener(fastlb.directory / "notify") as listener:
        yield listener


def environ_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def test_a_service_is_ready_when_it_serves_and_says_what_is_done_to_it(
    fastlb: Fastlb, manager: NotifyListener, tmp_path: Path
) -> None:
    (tmp_path / "release.py").write_text(GOOD)
    process = fastlb.popen(*RUN, cwd=tmp_path, env={**fastlb.env, **manager.env(WATCHDOG_SECONDS)})
    ready = manager.hear("READY=1")
    app = fastlb.app()
    assert f"MAINPID={process.pid}" in ready
    assert app.get().status == 200
    manager.hear("WATCHDOG=1")
    manager.hear("WATCHDOG=1")
    address = os.fsencode(f"NOTIFY_SOCKET={manager.path}")
    below = processes.descendants(process.pid)
    assert len(below) >= 2
    assert [pid for pid in below if address in environ_of(pid).split(b"\0")] == []

    before_us = time.monotonic_ns() // 1000
    app.ok("reload")
    reloading = manager.hear("RELOADING=1")
    (at,) = (int(line.partition("=")[2]) for line in reloading if line.startswith("MONOTONIC_USEC="))
    assert before_us <= at <= time.monotonic_ns() // 1000
    manager.hear("READY=1")

    (tmp_path / "release.py").write_text("raise RuntimeError('no good')")
    assert fastlb.cli("reload", "app").returncode == 1
    fastlb.allow_in_logs("Traceback")
    manager.hear("RELOADING=1")
    (status,) = (line for line in manager.hear("READY=1") if line.startswith("STATUS="))
    assert status.startswith("STATUS=online: 1 of 1 workers online, on 127.0.0.1:")
    assert "; reload: " in status

    process.send_signal(signal.SIGTERM)
    manager.hear("STOPPING=1")
    assert process.wait(timeout=scaled(20)) == 0


def test_a_supervisor_that_does_nothing_gives_no_sign_of_life(fastlb: Fastlb, manager: NotifyListener) -> None:
    env = {**fastlb.env, **manager.env(WATCHDOG_SECONDS)}
    process = fastlb.popen("run", "asgi_probe:app", "--name", "app", "--bind", "127.0.0.1:0", env=env)
    manager.hear("READY=1")
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: processes.is_stopped(process.pid), "the supervisor has stopped")
    manager.hear_all()
    assert manager.is_silent_for(WATCHDOG_SECONDS)
    process.send_signal(signal.SIGCONT)
    manager.hear("WATCHDOG=1")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=scaled(20)) == 0


def test_an_app_in_the_background_does_not_speak_for_the_service_that_started_it(
    fastlb: Fastlb, manager: NotifyListener
) -> None:
    fastlb.env |= manager.env(WATCHDOG_SECONDS)
    app = fastlb.start()
    app.ok("reload")
    app.ok("stop")
    manager.hear_all()
    assert manager.said == []
