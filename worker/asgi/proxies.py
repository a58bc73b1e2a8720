"""Owns whose forwarded headers an ASGI worker believes: uvicorn's rules, and the client of a unix socket.

Runs in ASGI workers, in front of the app. What is believed is the same on the WSGI side (wsgi/trusted_proxies.py).
"""

from ipaddress import ip_network
from typing import Any

from fastlb.worker.asgi.proxied_app import ProxiedApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ..wire import UNIX_PEERS, WorkerConfig


class TrustedWithUnixPeers:
    """uvicorn's trusted hosts, and besides them a client without an address: one of a unix socket."""

    def __init__(self, hosts: Any) -> None:
        self._hosts = hosts
        self.get_trusted_client_address = hosts.get_trusted_client_address

    def __contains__(self, host: str | None) -> bool:
        return host is None or host in self._hosts


def behind_proxies(app: Any, worker: WorkerConfig) -> Any:
    """Return `app` behind what rewrites the client and the scheme of a request, as the settings want it."""
    if not worker.proxy_headers:
        return app
    entries = [_as_uvicorn_reads_it(entry.strip()) for entry in worker.forwarded_allow_ips.split(",")]
    trusting: Any = ProxyHeadersMiddleware(app, entries if "*" not in entries else "*")
    if UNIX_PEERS in entries:
        trusting.trusted_hosts = TrustedWithUnixPeers(trusting.trusted_hosts)
    return ProxiedApp(app, trusting)


def _as_uvicorn_reads_it(entry: str) -> str:
    """It takes a network only as its lowest address; 10.1.2.3/8 means one, too."""
    return str(ip_network(entry, strict=False)) if "/" in entry else entry
