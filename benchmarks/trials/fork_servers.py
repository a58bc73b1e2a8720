"""Trial 22: servers of others in fork mode, on sockets of ours, are replaced under load: nobody is refused."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.fastlb_process import Fastlb
from tests.support.load_plan import Plan

from .finding import Finding, Scale
from .reloads import reload_repeatedly

BIN = Path(sys.executable).parent
# gunicorn looks for LISTEN_FDS by itself, uvicorn is told the number.
SERVERS = {
    "gunicorn": ("--", "-w", "2", "--threads", "4", "wsgi_probe:app"),
    "uvicorn": ("--", "--fd", "3", "--log-level", "warning", "asgi_probe:app"),
}
RELOADS = 10
REQUESTS = 50_000


def run(scale: Scale) -> Iterator[Finding]:
    """Reload each server that is installed."""
    for server, arguments in SERVERS.items():
        if shutil.which(server, path=str(BIN)):
            yield reload_server(scale, server, arguments)


def reload_server(scale: Scale, server: str, arguments: tuple[str, ...]) -> Finding:
    """Nobody is refused; what the server does with its clients when it is told to end is its own affair."""
    reloads, requests = scale.of(RELOADS, least=3), scale.of(REQUESTS)
    with Fastlb({"PATH": f"{BIN}:/usr/bin:/bin"}) as fastlb:
        app = fastlb.start(server, "--fork", "--workers", "2", "--settle", "1s", *arguments)
        report = reload_repeatedly(app, Plan(address=app.address), reloads, requests)
    promise = f"{server} in fork mode with --bind, {reloads} reloads under load, >= {requests} requests: 0 refused"
    is_kept = not report.refused and not report.timeout and report.requests >= requests
    return Finding(promise, report.summary(), is_kept)
