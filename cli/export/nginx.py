"""Owns how apps look as a configuration of nginx, below http {}: ngx_http_upstream_module. Pure; the user's shell."""

import re
from collections.abc import Sequence

from ...supervisor.errors import UsageError
from .exported_app import ExportedApp, comments, whole_seconds
from .hosts import Backend, backends, host_remarks, is_reachable, refuse_unreachable

IP_HASH = "    ip_hash;\n"
METHODS = {"round-robin": "", "least-connections": "    least_conn;\n", "ip-hash": IP_HASH, "sticky": IP_HASH}
KEPT_CONNECTIONS = 32
FAIL_SECONDS = 10
_PATH = re.compile(r"[\w./-]+")

MAP = """\
map $http_upgrade $connection_upgrade {
    default upgrade;
    ''      '';
}
"""

UPSTREAM = """\
upstream {name} {{
{method}{servers}{kept}}}
"""

SERVER = """\
server {{
    listen {port};
{body_size}
    location / {{
        proxy_pass {scheme}://{name};
        proxy_http_version 1.1;
        # Who does not answer within it is passed over.
        proxy_connect_timeout 2s;
        proxy_next_upstream error timeout;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }}
}}
"""


def nginx(apps: Sequence[ExportedApp], hosts: Sequence[str]) -> str:
    """Return an upstream and a server for each port of each app that speaks HTTP.

    Raises:
        UsageError: no app listens anywhere, or a host is none.
    """
    refuse_unreachable(apps, hosts)
    return "\n".join([MAP, *(_of_app(app, hosts) for app in apps)])


def _of_app(app: ExportedApp, hosts: Sequence[str]) -> str:
    if not is_reachable(app, hosts):
        return comments([f"{app.name} is left out: no port is known before it runs"])
    if not app.speaks_http:
        why = "what a program speaks is not known: if it is no HTTP, it belongs into stream {}, by hand"
        return comments([f"{app.name} is left out: {why}"])
    if app.config.proxy_protocol:
        return comments(_in_stream(app, hosts))
    sections = [_upstream(app, backend) + "\n" + _server(app, backend) for backend in backends(app, hosts)]
    return comments(_remarks(app, hosts)) + "\n".join(sections)


def _upstream(app: ExportedApp, backend: Backend) -> str:
    return UPSTREAM.format(
        name=backend.name,
        method=METHODS[app.config.balance],
        servers="".join(f"    server {_place(backend, at)} {_patience(app, backend)};\n" for at in backend.addresses),
        kept=_kept(app),
    )


def _kept(app: ExportedApp) -> str:
    """None with sticky: what comes by a kept connection goes to the worker of whoever came by it first."""
    if app.config.balance == "sticky":
        return ""
    kept = f"    keepalive {KEPT_CONNECTIONS};\n"
    if app.bounds_http and app.config.timeout_keep_alive:
        kept += f"    keepalive_timeout {round(app.config.timeout_keep_alive * 800)}ms;\n"
    return kept


def _patience(app: ExportedApp, backend: Backend) -> str:
    """Where there is one server it must never be taken out."""
    if len(backend.addresses) == 1:
        return "max_fails=0"
    seconds = whole_seconds(app.config.health_check_interval or FAIL_SECONDS)
    return f"max_fails={app.config.health_check_failures} fail_timeout={seconds}s"


def _server(app: ExportedApp, backend: Backend) -> str:
    limit = app.config.limit_request_body
    return SERVER.format(
        name=backend.name,
        port=backend.port or 80,
        scheme="https" if app.speaks_tls else "http",
        body_size=f"    client_max_body_size {limit};\n" if app.bounds_http else "",
    )


def _place(backend: Backend, address: str) -> str:
    if backend.port:
        return address
    if not _PATH.fullmatch(address):
        raise UsageError(f"--bind unix:{address}: this path cannot stand in a configuration of nginx")
    return f"unix:{address}"


def _in_stream(app: ExportedApp, hosts: Sequence[str]) -> list[str]:
    """Return what is to be done by hand for an app whose connections begin with a PROXY header."""
    lines = [f"{app.name} is left out: with --proxy-protocol it wants a header that nginx says in stream {{}} alone:"]
    for backend in backends(app, hosts):
        servers = " ".join(f"server {_place(backend, at)};" for at in backend.addresses)
        lines += [f"  upstream {backend.name} {{ {servers} }}"]
        lines += [f"  server {{ listen {backend.port or 80}; proxy_pass {backend.name}; proxy_protocol on; }}"]
    return lines


def _remarks(app: ExportedApp, hosts: Sequence[str]) -> list[str]:
    found = [f"{app.name}, written by `fastlb export`. Workers, limits and reloads stay fastlb's, on each host."]
    found += host_remarks(app, hosts)
    if app.health:
        found.append("--health-check: nginx asks nobody by itself: a host is left out for a while after it has failed")
    if app.speaks_tls:
        found.append("The app speaks TLS, and nginx does not look at its certificate: see proxy_ssl_verify")
    if app.config.balance == "ip-hash":
        found.append("--balance ip-hash: on each host it sees the address of nginx for everybody: take sticky")
    found.append("Clients: let the app believe nginx's X-Forwarded-For, by --forwarded-allow-ips ADDRESS")
    return found
