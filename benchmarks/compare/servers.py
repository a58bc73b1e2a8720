"""Owns the list of the servers that are compared, and how ours is started."""

from tests.support.fastlb_process import Fastlb
from tests.support.node_driver import APP_PORT

from . import node_servers, python_servers
from .running import APPS, RunningServer, Server, Service

OURS = "fastlb"


def start_fastlb(service: Service) -> RunningServer:
    """Start ours, with its defaults."""
    installation = Fastlb(env={"PYTHONPATH": str(APPS)})
    app = installation.start(service.target, "--workers", str(service.workers), *options_for(service))
    balancer = (app.supervisor_pid, app.dispatcher_pid)
    return RunningServer(("127.0.0.1", app.port), installation.close, lambda: installation.pids, balancer)


def options_for(service: Service) -> tuple[str, ...]:
    """Return what the kind of app needs besides its name."""
    balance = ("--balance", service.balance) if service.balance else ()
    if service.interface == "node":
        return ("--env", f"PORT={APP_PORT}", *balance)
    log = ("--access-log", *service.log_options) if service.access_log else ()
    return ("--threads", str(service.threads), "--app-dir", str(APPS), *log, *balance)


SERVERS = {OURS: Server(start_fastlb, lambda: True), **python_servers.SERVERS, **node_servers.SERVERS}
