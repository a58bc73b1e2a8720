"""Owns the servers for Python apps: how each is started from its command line."""

import shutil
import sys
from pathlib import Path

from tests.support.node_driver import free_port

from .running import RunningServer, Server, Service, start_process, wait_for_answer

BIN = Path(sys.executable).parent


def start_uvicorn(service: Service) -> RunningServer:
    """`uvicorn --workers N`, as its settings page has it; its access log is on unless it is told otherwise."""
    log = [] if service.access_log else ["--no-access-log"]
    return start_command("uvicorn", "--workers", str(service.workers), *log, service.target)


def start_granian(service: Service) -> RunningServer:
    """Granian with its defaults for the interface; its access log is off unless it is asked for."""
    threads = ["--blocking-threads", str(service.threads)] if service.interface == "wsgi" else []
    log = ["--access-log"] if service.access_log else []
    options = ["--interface", service.interface, "--workers", str(service.workers), *log, *threads]
    return start_command("granian", *options, service.target)


def start_gunicorn(service: Service) -> RunningServer:
    """Gunicorn: sync workers for one thread, gthread for more, uvicorn's worker for ASGI."""
    log = ["--access-logfile", "-"] if service.access_log else []
    options = ["--workers", str(service.workers), "--worker-class", gunicorn_worker(service), *log]
    if service.interface == "wsgi" and service.threads > 1:
        options += ["--threads", str(service.threads)]
    return start_command("gunicorn", *options, service.target)


def gunicorn_worker(service: Service) -> str:
    """Return the worker class that gunicorn's and uvicorn's documentation name for such an app."""
    if service.interface == "asgi":
        return "uvicorn.workers.UvicornWorker" if service.access_log else "quiet_uvicorn_worker.QuietUvicornWorker"
    return "gthread" if service.threads > 1 else "sync"


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
