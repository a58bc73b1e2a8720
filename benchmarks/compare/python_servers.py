"""Owns the servers for Python apps: how each is started from its command line."""

import shutil
import sys
from pathlib import Path

from tests.support.node_driver import free_port

from .running import RunningServer, Server, Service, start_process, wait_for_answer

BIN = Path(sys.executable).parent


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


def start_command(name: str, *options: str) -> RunningServer:
    """Start a server from its command line on a free port and wait until it answers."""
    port = free_port()
    bind = ["--bind", f"127.0.0.1:{port}"] if name == "gunicorn" else ["--host", "127.0.0.1", "--port", str(port)]
    root = start_process([str(BIN / name), *bind, *options], {"PYTHONWARNINGS": "ignore"})
    return wait_for_answer(root, port)


def has_command(name: str) -> bool:
    """Say whether the server's command is in this environment."""
    return shutil.which(str(BIN / name)) is not None


SERVERS = {
    "uvicorn": Server(start_uvicorn, lambda: has_command("uvicorn")),
    "granian": Server(start_granian, lambda: has_command("granian")),
    "gunicorn": Server(start_gunicorn, lambda: has_command("gunicorn")),
}
