"""Owns what these tests share: a home with a stopped app, and a supervisor that never answers."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fastlb.supervisor.home.paths import AppPaths, prepare_app_dir, prepare_home
from fastlb.supervisor.home.stored_config import save_config
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.fastlb_process import Fastlb

STOPPED = AppConfig(
    target="asgi_probe:app", name="shop", bind=("127.0.0.1:0",), env={"TOKEN": "canary-7"}, balance="ip-hash"
)
# Holds the lock, listens, and answers nothing: what a stuck supervisor looks like from outside.
SILENT_SUPERVISOR = """
import socket, sys
from pathlib import Path
from fastlb.supervisor.home.app_lock import AppLock
from fastlb.supervisor.home.paths import AppPaths
paths = AppPaths(Path(sys.argv[1]), sys.argv[2])
lock = AppLock.acquire(paths)
listener = socket.socket(socket.AF_UNIX)
if sys.argv[3] == "listening":
    listener.bind(str(paths.control_socket))
    listener.listen()
print("ready", flush=True)
sys.stdin.read()
"""


def remember(fastlb: Fastlb, config: AppConfig) -> AppPaths:
    """Make the files of an app that was stopped."""
    paths = AppPaths(fastlb.home, config.name)
    prepare_home(paths.home)
    prepare_app_dir(paths)
    save_config(paths, config)
    return paths


@pytest.fixture
def stopped(fastlb: Fastlb) -> AppPaths:
    """The files of the stopped app `shop`, with something in its logs."""
    paths = remember(fastlb, STOPPED)
    paths.out_log.write_text("".join(f"out {number}\n" for number in range(30)))
    paths.error_log.write_text("err 0\nerr 1\n")
    return paths


@pytest.fixture(params=["listening"])
def stuck(request: pytest.FixtureRequest, fastlb: Fastlb) -> Iterator["subprocess.Popen[str]"]:
    """A process that is the supervisor of the app `stuck` and never answers."""
    remember(fastlb, msgspec.structs.replace(STOPPED, name="stuck"))
    command = [sys.executable, "-c", SILENT_SUPERVISOR, str(fastlb.home), "stuck", request.param]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()
    Path(fastlb.home / "apps" / "stuck" / "control.sock").unlink(missing_ok=True)
