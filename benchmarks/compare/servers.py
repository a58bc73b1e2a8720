"""Owns the servers that are compared: how each is started, which processes it has, how it is stopped."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.support import processes
from tests.support.client import get
from tests.support.fastlb_process import Fastlb
from tests.support.waiting import wait_until

APPS = Path(__file__).resolve().parent / "apps"
BIN = Path(sys.executable).parent
START_TIMEOUT = 30.0


class Service(msgspec.Struct, frozen=True):
    """What a server is asked to run.

    Attributes:
        app: function in apps/bench_apps.py.
        interface: "asgi" or "wsgi".
        threads: of each WSGI worker.
    """

    app: str
    interface: str = "asgi"
    workers: int = 2
    threads: int = 1

    @property
    def target(self) -> str:
        """The app as every server names it."""
        return f"bench_apps:{self.app}"


class RunningServer(msgspec.Struct, frozen=True):
    """A server that answers.

    Attributes:
        pids: asks for all its processes as they are now: some start their workers late, or again.
        balancer_pids: those that only distribute; empty when it has none.
    """

    address: tuple[str, int]
    stop: Callable[[], None]
    pids: Callable[[], list[int]]
    balancer_pids: tuple[int, ...] = ()


Starter = Callable[[Service], RunningServer]


def start_fastlb(service: Service) -> RunningServer:
    """Start ours, with its defaults."""
    installation = Fastlb(env={"PYTHONPATH": str(APPS)})
    options = ("--workers", str(service.workers), "--threads", str(service.threads), "--app-dir", str(APPS))
    app = installation.start(service.target, *options)
    balancer = (app.supervisor_pid, app.dispatcher_pid)
    return RunningServer(("127.0.0.1", app.port), installation.close, lambda: installation.pids, balancer)


def start_uvicorn(service: Service) -> RunningServer:
    """`uvicorn --workers N`."""
    return start_command("uvicorn", "--workers", str(service.workers), "--log-level", "warning", service.target)


def start_granian(service: Service) -> RunningServer:
    """Granian with its defaults for the interface."""
    threads = ["--blocking-threads", str(service.threads)] if service.interface == "wsgi" else []
    options = ["--interface", service.interface, "--workers", str(service.workers), "--no-log", *threads]
    return start_command("granian", *options, service.target)


def start_gunicorn(service: Service) -> RunningServer:
    """Gunicorn: sync workers for one thread, gthread for more, uvicorn's worker for ASGI."""
    kind = "gthread" if service.threads > 1 else "sync"
    threads = ["--threads", str(service.threads)] if service.threads > 1 else []
    if service.interface == "asgi":
        kind, threads = "uvicorn.workers.UvicornWorker", []
    options = ["--worker-class", kind, "--workers", str(service.workers), "--log-level", "error", *threads]
    return start_command("gunicorn", *options, service.target)


STARTERS: dict[str, Starter] = {
    "fastlb": start_fastlb,
    "uvicorn": start_uvicorn,
    "granian": start_granian,
    "gunicorn": start_gunicorn,
}


def is_installed(name: str) -> bool:
    """Say whether the server's command is in this environment."""
    return shutil.which(str(BIN / name)) is not None


def start_command(name: str, *options: str) -> RunningServer:
    """Start a server from its command line on a free port and wait until it answers."""
    port = free_port()
    bind = ["--bind", f"127.0.0.1:{port}"] if name == "gunicorn" else ["--host", "127.0.0.1", "--port", str(port)]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    command = [str(BIN / name), *bind, *options]
    root = subprocess.Popen(command, cwd=APPS, env=environment, start_new_session=True, **quiet)
    address = ("127.0.0.1", port)
    wait_until(lambda: answers(address) or root.poll() is not None, f"{name} answers", START_TIMEOUT)
    assert root.poll() is None, f"{' '.join(command)}: exit code {root.returncode}"
    return RunningServer(address, lambda: stop_command(root), lambda: [root.pid, *processes.descendants(root.pid)])


def answers(address: tuple[str, int]) -> bool:
    """Say whether a request is answered with 200."""
    try:
        return get(address, timeout=2).status == 200
    except OSError:
        return False


def stop_command(root: subprocess.Popen[bytes]) -> None:
    """Stop a server; the whole group is killed when it does not go."""
    root.terminate()
    try:
        root.wait(timeout=5)
    except subprocess.TimeoutExpired:
        os.killpg(root.pid, signal.SIGKILL)
        root.wait()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
