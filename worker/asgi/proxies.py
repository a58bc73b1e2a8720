"""Owns whose forwarded headers an ASGI worker believes: uvicorn's rules, and the client of a unix socket.

Runs in ASGI workers, in front of the app. What is believed is the same on the WSGI side (wsgi/trusted_proxies.py).
"""

from typing import Any

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
    trusting: Any = ProxyHeadersMiddleware(app, worker.forwarded_allow_ips)
    if UNIX_PEERS in [entry.strip() for entry in worker.forwarded_allow_ips.split(",")]:
        trusting.trusted_hosts = TrustedWithUnixPeers(trusting.trusted_hosts)
    return trusting
